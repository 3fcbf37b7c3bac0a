/** Control characters, lone surrogates, non-characters: no CloudEvents String holds them. */
const FORBIDDEN = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u
const EVERY_FORBIDDEN = new RegExp(FORBIDDEN, 'gu')

/**
 * The text with U+FFFD in place of each character that no CloudEvents String may hold; the text itself if it has none.
 * Names of RBAC objects and field managers can hold any of them. All encoders apply it to every attribute, so whatever a
 * consumer compares with an attribute is made of cleaned text too.
 * Source: CloudEvents 1.0.2, "Type System".
 */
export function cleanText(text: string): string {
  return FORBIDDEN.test(text) ? text.replace(EVERY_FORBIDDEN, '\uFFFD') : text
}
