/**
 * Types of sinks that are modules of the operator's own: `./my-sink.js`, `/opt/sinks/my-sink.ts`, `@scope/package`. Their
 * code runs with all rights of the process. It is named in the configuration file and nowhere else.
 */
import { access } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { AnySinkDefinition } from './bridge-config.ts'
import { flawsOfSinkSchema } from './schema-flaws.ts'

/** Why a module is no type of sinks. */
export interface ModuleProblem {
  readonly message: string
  readonly expected?: string | undefined
}

export type LoadedModule =
  | { readonly type: 'loaded'; readonly definition: AnySinkDefinition }
  | { readonly type: 'refused'; readonly problem: ModuleProblem }

/** Imports the module as a configuration in `file` names it. A module is evaluated once in a process. */
export async function loadModule(type: string, file: string, builtIn: readonly string[]): Promise<LoadedModule> {
  const refused = (message: string, expected?: string): LoadedModule => ({
    type: 'refused',
    problem: { message, expected },
  })
  const path = type.startsWith('@') ? undefined : resolve(dirname(file), type)
  if (path !== undefined) {
    const problem = await access(path).then(() => undefined, codeOf)
    if (problem === 'ENOENT') return refused(`there is no file ${path}`, 'a path, relative to the folder of this file')
    if (problem !== undefined) return refused(`${path} cannot be read: ${problem}`)
  }
  let module: Readonly<Record<string, unknown>>
  try {
    module = await import(path === undefined ? `${BESIDE}${JSON.stringify([type, pathToFileURL(file)])}` : urlOf(path))
  } catch (error) {
    return refused(`${path ?? type} cannot be loaded: ${reasonOf(error, path)}`)
  }
  const flaw = flawOf(module, builtIn)
  return flaw ? refused(`${path ?? type}: ${flaw.message}`, flaw.expected) : loaded(module.sink as AnySinkDefinition)
}

function loaded(definition: AnySinkDefinition): LoadedModule {
  return { type: 'loaded', definition }
}

/** Specifiers of this scheme are `[specifier, parent]`: what the specifier means in the parent. */
const BESIDE = 'deltawire-beside:'

/**
 * Wherever a module is, in its imports `deltawire/sink` is the one of this process: of a second copy, no DeliveryError
 * would be known here. Stays for as long as the process lives, as modules do; who names no module never gets here.
 */
registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith(BESIDE)) {
      const [name, parentURL] = JSON.parse(specifier.slice(BESIDE.length)) as readonly [string, string]
      return next(name, { ...context, parentURL })
    }
    const isOurs = specifier.startsWith('deltawire/')
    return next(specifier, isOurs ? { ...context, parentURL: import.meta.url } : context)
  },
})

const urlOf = (path: string) => pathToFileURL(path).href

const EXPORT = 'export const sink = defineSink({ … })'

/** Of what the compiler would hold against it, had it been asked. */
function flawOf(module: Readonly<Record<string, unknown>>, builtIn: readonly string[]): ModuleProblem | undefined {
  const { sink } = module
  if (sink === undefined) {
    // Node gives what is written as CommonJS this name as well
    const others = Object.keys(module)
      .filter((name) => name !== 'module.exports')
      .join(', ')
    return { message: `exports no sink${others === '' ? '' : `, only ${others}`}`, expected: EXPORT }
  }
  if (typeof sink !== 'object' || sink === null) return { message: 'its sink is no definition', expected: EXPORT }
  const { type, schema, limits, create, warnings } = sink as Readonly<Record<string, unknown>>
  if (typeof type !== 'string' || !/^[a-z][a-z0-9-]*$/.test(type)) {
    return { message: 'its sink has no type', expected: 'a name of lower-case letters, digits and -' }
  }
  if (builtIn.includes(type)) {
    return { message: `its sink calls itself ${type}, as a built-in type does`, expected: 'a name of its own' }
  }
  for (const [name, member] of Object.entries({ limits, create, warnings })) {
    if (typeof member === 'function' || (name === 'warnings' && member === undefined)) continue
    return { message: `its sink has no function ${name}`, expected: EXPORT }
  }
  const [flaw, ...more] = flawsOfSinkSchema(schema)
  if (flaw === undefined) return undefined
  return { message: `${flaw}${more.length > 0 ? ` (and ${more.length} more)` : ''}` }
}

/** One line: what was thrown, and where if it says so. Code of the operator's, so its words may be shown to them. */
function reasonOf(error: unknown, path: string | undefined): string {
  if (!(error instanceof Error)) return `it threw ${typeof error === 'string' ? JSON.stringify(error) : typeof error}`
  const [line = ''] = error.message.split('\n')
  const [, place] = /(?:at |\()((?:file:\/\/)?\/[^\s()]+:\d+:\d+)/.exec(error.stack ?? '') ?? []
  const where = place === undefined ? '' : ` (${place})`
  const way = error instanceof SyntaxError && path !== undefined ? `; ${wayOut(line, path)}` : ''
  return `${error.name}: ${line.slice(0, 500)}${where}${way}`
}

/** Node does not say where a SyntaxError is. */
function wayOut(message: string, path: string): string {
  if (!/outside a module|Unexpected token 'export'/.test(message)) return `\`node --check ${path}\` shows where`
  return 'the package.json above it has to say "type": "module", or name the file .mjs'
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
