/**
 * A configuration file as text, as a value, and as places in the file.
 * No message repeats a piece of the file: it may be a credential that someone put there by mistake.
 */
import { type FileHandle, open } from 'node:fs/promises'
import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml'
import { ConfigError, type ConfigProblem, type Place, type ValuePath } from './problem.ts'

/** A ConfigMap holds at most this much. */
const MAX_BYTES = 1024 * 1024
/** How many nodes aliases may stand for, per anchor: more is an attack on memory. */
const MAX_ALIASES = 100

export interface ConfigDocument {
  readonly value: Readonly<Record<string, unknown>>
  /** The place of the value at `path`, or of the nearest thing around it that exists. */
  placeOf(path: ValuePath): Place
  /** The place of the last name in `path` itself, not of its value. */
  placeOfKey(path: ValuePath): Place
}

/** Reads and parses. Throws a ConfigError if there is no file, it cannot be read, or it is not one YAML mapping. */
export async function readDocument(file: string): Promise<ConfigDocument> {
  return parseConfig(file, await readText(file))
}

export function parseConfig(file: string, text: string): ConfigDocument {
  const lines = new LineCounter()
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { type: 'file', file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const document = parseYaml(text, lines, placeAt)
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null)) throw refused(placeAt(0), 'the file is empty', WHOLE)
  if (!isMap(root))
    throw refused(placeAt(startOf(root)), isSeq(root) ? 'the file is a list' : 'the file is one value', WHOLE)
  const find = (path: ValuePath) => walk(document, root, path)
  return {
    value: toValue(document, placeAt),
    placeOf: (path) => placeAt(find(path).value),
    placeOfKey: (path) => placeAt(find(path).key),
  }
}

const WHOLE = 'a mapping that starts with apiVersion: deltawire.io/v1'

async function readText(file: string): Promise<string> {
  const place: Place = { type: 'file', file, line: 1, column: 1 }
  let bytes: Uint8Array
  try {
    await using handle = await open(file, 'r')
    bytes = await readBounded(handle)
  } catch (error) {
    throw refused(place, unreadable(error))
  }
  if (bytes.length > MAX_BYTES) throw refused(place, 'is larger than 1 MiB', 'at most 1 MiB, as a ConfigMap')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw refused(place, 'is not text in UTF-8')
  }
}

/** One byte more than allowed at most, whatever the file claims about its size (a device, a pipe). */
async function readBounded(handle: FileHandle): Promise<Uint8Array> {
  const buffer = new Uint8Array(MAX_BYTES + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

const unreadableCodes: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'is a directory, not a file',
  EACCES: 'may not be read: permission denied',
  EPERM: 'may not be read: permission denied',
}

function unreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  return unreadableCodes[code] ?? `cannot be read: ${code}`
}

const syntax: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: 'an alias (*name) without its anchor (&name)',
  BAD_DQ_ESCAPE: 'an escape that double quotes do not know; single quotes take text as it is',
  BAD_INDENT: 'the indentation does not fit the lines above, or a bracket is not closed',
  BLOCK_AS_IMPLICIT_KEY: 'a nested mapping on one line; a value that holds ": " needs quotes',
  DUPLICATE_KEY: 'the key is there twice',
  MISSING_CHAR: 'a character is missing: a colon, a comma, a quote or a bracket',
  MULTIPLE_DOCS: 'a second document (---); one file is one configuration',
  NON_STRING_KEY: 'a key that is not text',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'a tab in the indentation; YAML takes spaces only',
  TAG_RESOLVE_FAILED: 'a tag (!name) that means nothing here',
}

/** What the parser reads past. After any other mistake it has lost its way, and what it reports is of no use. */
const independent: ReadonlySet<ErrorCode> = new Set([
  'BAD_ALIAS',
  'BAD_DQ_ESCAPE',
  'DUPLICATE_KEY',
  'TAG_RESOLVE_FAILED',
])

/** Inside brackets the parser does not say that it was a tab. */
function hasTabIndent(text: string, offset: number): boolean {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  return /^ *\t/.test(text.slice(start, offset + 1))
}

function parseYaml(text: string, lineCounter: LineCounter, placeAt: (offset: number) => Place): Document.Parsed {
  const options = { lineCounter, prettyErrors: false, uniqueKeys: true, logLevel: 'error' } as const
  let document: Document.Parsed
  try {
    document = parseDocument(text, options)
  } catch (error) {
    if (error instanceof RangeError) throw refused(placeAt(0), 'is nested too deeply')
    throw error
  }
  const all: readonly YAMLError[] = [...document.errors, ...document.warnings]
  const lost = all.find(({ code }) => !independent.has(code))
  const found = lost ? [...all.filter(({ pos }) => pos[0] < lost.pos[0]), lost] : all
  const problems = found.map(({ code, pos }) => {
    const isTab = code === 'BAD_INDENT' && hasTabIndent(text, pos[0])
    return problem(placeAt(pos[0]), `not YAML: ${syntax[isTab ? 'TAB_AS_INDENT' : code] ?? describe(code)}`)
  })
  if (lost) throw new ConfigError(problems)
  const anchors = new Set<string>()
  visit(document, {
    Node(_key, node) {
      if ('anchor' in node && node.anchor !== undefined) anchors.add(node.anchor)
      if (!isAlias(node) || anchors.has(node.source)) return
      problems.push(problem(placeAt(startOf(node)), `not YAML: ${syntax.BAD_ALIAS}`))
    },
  })
  if (problems.length > 0) throw new ConfigError(problems)
  return document
}

const describe = (code: ErrorCode) => code.toLowerCase().replaceAll('_', ' ')

function toValue(document: Document.Parsed, placeAt: (offset: number) => Place): Readonly<Record<string, unknown>> {
  try {
    // Copied, so that filling in defaults below one alias does not show below another.
    return JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: MAX_ALIASES })))
  } catch (error) {
    if (error instanceof ReferenceError) throw refused(placeAt(0), 'aliases (*name) stand for too many values')
    if (error instanceof RangeError) throw refused(placeAt(0), 'is nested too deeply')
    if (error instanceof TypeError) throw refused(placeAt(0), 'an alias (*name) holds itself')
    throw error
  }
}

interface Found {
  readonly key: number
  readonly value: number
}

/** Offsets of the last step of `path` that exists. */
function walk(document: Document.Parsed, root: Node, path: ValuePath): Found {
  let node: Node | null = root
  let found: Found = { key: startOf(root), value: startOf(root) }
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document) ?? null
    let next: Node | null = null
    if (isMap(node)) {
      const pair = node.items.find(({ key }: Pair) => isScalar(key) && String(key.value) === String(step)) as
        | Pair<Node, Node | null>
        | undefined
      if (!pair) return found
      next = pair.value
      found = { key: startOf(pair.key), value: next?.range ? startOf(next) : startOf(pair.key) }
    } else if (isSeq(node) && typeof step === 'number') {
      next = (node.items[step] ?? null) as Node | null
      if (!next) return found
      found = { key: startOf(next), value: startOf(next) }
    }
    node = next
  }
  return found
}

const startOf = (node: Node): number => node.range?.[0] ?? 0

function problem(place: Place, message: string, expected?: string): ConfigProblem {
  return { place, path: '', message, expected }
}

function refused(place: Place, message: string, expected?: string): ConfigError {
  return new ConfigError([problem(place, message, expected)])
}
