"""What the history speaks of."""

from enum import Enum


class SubjectType(Enum):
    """What an event of the history is about; the history keeps the name in small letters."""

    SITE = "SITE"
    USER = "USER"
    MEMBERSHIP = "MEMBERSHIP"
    CONTACT = "CONTACT"
    ACCESS_REQUEST = "ACCESS_REQUEST"
    NOMINATION = "NOMINATION"
    WEBHOOK = "WEBHOOK"
    CALENDAR_SUBSCRIPTION = "CALENDAR_SUBSCRIPTION"
    E_NOTIFICATION_PREFERENCE = "E_NOTIFICATION_PREFERENCE"
    NAMING = "NAMING"
    PRIVILEGE_TEMPLATE = "PRIVILEGE_TEMPLATE"
    BLOCKED_REQUESTER = "BLOCKED_REQUESTER"
