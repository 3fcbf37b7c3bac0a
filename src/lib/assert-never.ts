/** Makes a forgotten variant a compile error; at run time it names the value that no one handled. */
export function assertNever(value: never): never {
  throw new TypeError(`unhandled variant: ${JSON.stringify(value)}`)
}
