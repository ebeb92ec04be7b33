// The people one can act as, their tokens, and the one chosen. Tokens stay in
// memory; only the chosen name is remembered, for this browser tab.
import { getJson } from './api.js';

const rememberedAs = 'account-management-explorer:person';
const nameOfToken = new Map();
let people = [];
let chosen = '';

export const ANONYMOUS = '';

export async function loadPeople() {
  people = await getJson('/development/personas');
  for (const { name, token } of people) nameOfToken.set(token, name);
  return people;
}

export function recallPerson() {
  const name = sessionStorage.getItem(rememberedAs);
  chosen = people.some(person => person.name === name) ? name : ANONYMOUS;
}

export function choosePerson(name) {
  chosen = name;
  sessionStorage.setItem(rememberedAs, name);
}

export function chosenPerson() {
  return chosen;
}

export function headersFor(name) {
  const person = people.find(person => person.name === name);
  return JSON.stringify(person ? { Authorization: `Bearer ${person.token}` } : {}, null, 2);
}

// The person a headers text stands for; undefined if it was written by hand.
export function personIn(text) {
  if (text.trim() === '') return ANONYMOUS;
  try {
    const { Authorization = '', ...others } = JSON.parse(text);
    if (Object.keys(others).length > 0) return undefined;
    return Authorization === '' ? ANONYMOUS : nameOfToken.get(Authorization.replace('Bearer ', ''));
  } catch {
    return undefined;
  }
}

// What a headers text should become: blank (a new tab, or one restored without
// its headers) takes the chosen person, an older token becomes the latest one.
export function updatedHeaders(text) {
  const name = text.trim() === '' ? chosen : personIn(text);
  return name === undefined ? text : headersFor(name);
}
