export type JsonObject = { [member: string]: unknown }

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The member as an object, or an empty one. */
export function objectAt(parent: JsonObject, member: string): JsonObject {
  const value = parent[member]
  return isObject(value) ? value : {}
}

/** The member as a string, or undefined. */
export function stringAt(parent: JsonObject, member: string): string | undefined {
  const value = parent[member]
  return typeof value === 'string' ? value : undefined
}

/** The member as an array of objects; anything else in it is left out. */
export function objectsAt(parent: JsonObject, member: string): readonly JsonObject[] {
  const value = parent[member]
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** A copy without the members named. */
export function without(object: JsonObject, ...members: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([member]) => !members.includes(member)))
}

/** The object or array, or undefined if it is empty; anything else as it is. */
export function filled(value: unknown): unknown {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0 ? undefined : value
}

/** As it is after a way over the wire: members that are undefined are gone, and nothing is shared with the original. */
export function overTheWire(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
