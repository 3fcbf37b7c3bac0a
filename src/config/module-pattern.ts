/** What the way to a module looks like, where a type of sinks is due. Names without a scope are types of the product. */
export const MODULE_PATTERN = '^(?:\\.{0,2}/.+|@[a-z0-9~-][a-z0-9._~-]*/[a-z0-9._~-].*)$'

/** `./my-sink.js`, `../sinks/mine.ts`, `/opt/sinks/mine.js`, `@scope/package`. */
export function isModule(type: string): boolean {
  return new RegExp(MODULE_PATTERN).test(type)
}
