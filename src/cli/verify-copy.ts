/** `deltawire verify-copy`: whether a copy holds what the end of a snapshot says that there is. */
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { decodeStructured, eventTypes } from '../events/index.ts'
import { Seen } from '../lib/seen.ts'
import { SetDigest } from '../lib/set-digest.ts'
import { ExitCode } from './exit-code.ts'
import { table } from './table.ts'

export interface VerifyCopyOptions {
  /** The copy, an object a line. Absent: standard input. */
  readonly file?: string | undefined
  /** A file with the end of a snapshot: the event in structured mode, or its data alone as binary mode has it. */
  readonly end?: string | undefined
  /** What the end says, instead of `end`. */
  readonly members?: string | undefined
  readonly state?: string | undefined
  readonly items?: string | undefined
}

export interface VerifyCopyEdge {
  readonly stdin: () => AsyncIterable<Uint8Array>
  readonly stdout: Output
  readonly stderr: Output
}

interface Output {
  write(text: string): unknown
}

/**
 * Done: the copy equals the end. Failed: it differs, and standard output says in what. Usage: they could not be compared,
 * because of an option, a file or a line that is wrong. Memory does not grow with the lines, but for 22 to 64 bytes each to
 * find a uid that comes twice.
 */
export async function verifyCopy(options: VerifyCopyOptions, edge: VerifyCopyEdge): Promise<ExitCode> {
  const { file } = options
  try {
    const expected = await expectedOf(options)
    const name = file ?? 'standard input'
    const found = await read(file === undefined ? edge.stdin() : bytesOf(file), { name, expected })
    edge.stdout.write(report(found, expected))
    return isEqual(found, expected) ? ExitCode.done : ExitCode.failed
  } catch (error) {
    if (!(error instanceof WrongInput)) throw error
    edge.stderr.write(`${error.message}\n`)
    return ExitCode.usage
  }
}

/** Something that the user can mend. The message names the place. */
class WrongInput extends Error {}

interface Expected {
  readonly members: string
  /** Absent: versions are not compared. */
  readonly state: string | undefined
  /** Absent: not compared. */
  readonly items: number | undefined
  readonly deadLettered: number
  /** The stream that it is about. Absent: of one that the copy alone can tell. */
  readonly stream: StreamName | undefined
}

interface StreamName {
  readonly source: string | undefined
  readonly stream: string | undefined
}

interface Found {
  readonly members: string
  readonly state: string
  readonly items: number
  /** Lines of other streams than the one that is compared. */
  readonly skipped: number
}

function isEqual(found: Found, { members, state = found.state, items = found.items }: Expected): boolean {
  return found.members === members && found.state === state && found.items === items
}

async function expectedOf({ end, members, state, items }: VerifyCopyOptions): Promise<Expected> {
  if (end !== undefined) {
    if (members !== undefined || state !== undefined || items !== undefined)
      throw new WrongInput('--end: not together with --members, --state or --items, which it holds')
    return expectedOfEnd(await textOf(end), end)
  }
  if (members === undefined)
    throw new WrongInput('say what to compare with: --end FILE, or --members HEX with --state HEX and --items NUMBER')
  if (items !== undefined && !/^(?:0|[1-9][0-9]{0,14})$/.test(items)) throw new WrongInput('--items: not a number')
  return {
    members: digest(members, '--members'),
    state: state === undefined ? undefined : digest(state, '--state'),
    items: items === undefined ? undefined : Number(items),
    deadLettered: 0,
    stream: undefined,
  }
}

function digest(value: unknown, where: string): string {
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return value
  throw new WrongInput(`${where}: not a digest of 64 lower-case hexadecimal digits`)
}

function expectedOfEnd(text: string, file: string): Expected {
  const { data, stream } = endOf(text, file)
  const snapshot = isRecord(data) && isRecord(data.snapshot) ? data.snapshot : undefined
  if (!snapshot || !Number.isSafeInteger(snapshot.items)) {
    throw new WrongInput(
      `${file}: not the end of a snapshot, which has data.snapshot.items: see docs/events.md, "Data"`,
    )
  }
  const { mode, items, members, state, deadLettered } = snapshot
  if (members === undefined) {
    const why = mode === 'part' ? 'its snapshot held a part of the view' : 'a route to its sink leaves types out'
    throw new WrongInput(`${file}: this end has no digest, because ${why}: there is nothing to compare with`)
  }
  return {
    members: digest(members, `${file}: members`),
    state: state === undefined ? undefined : digest(state, `${file}: state`),
    items: Number(items),
    deadLettered: Number.isSafeInteger(deadLettered) ? Number(deadLettered) : 0,
    stream,
  }
}

/** A whole event names its stream; data alone, as a body in binary mode, does not. */
function endOf(text: string, file: string): { readonly data: unknown; readonly stream: StreamName | undefined } {
  const json = parsed(text, file)
  if (isRecord(json) && json.specversion === undefined) return { data: json, stream: undefined }
  try {
    const { attributes, data } = decodeStructured(text)
    if (attributes.type !== eventTypes.snapshotEnd)
      throw new WrongInput(`${file}: an event of type ${attributes.type}, not ${eventTypes.snapshotEnd}`)
    return { data, stream: { source: attributes.source, stream: textOrNothing(attributes.stream) } }
  } catch (error) {
    if (error instanceof TypeError) throw new WrongInput(`${file}: ${error.message}`)
    throw error
  }
}

interface Lines {
  /** For messages. */
  readonly name: string
  readonly expected: Expected
}

async function read(bytes: AsyncIterable<Uint8Array>, { name, expected }: Lines): Promise<Found> {
  const sums = new Sums(expected)
  let number = 0
  for await (const lines of linesOf(bytes, name)) {
    for (const line of lines) {
      number++
      if (line.trim() !== '') sums.add(line, `${name}, line ${number}`)
    }
  }
  return sums.found()
}

/** What is kept of the lines that were read. */
class Sums {
  readonly #expected: Expected
  readonly #members = new SetDigest()
  readonly #state = new SetDigest()
  readonly #uids = new Seen()
  #items = 0
  #skipped = 0
  #first: StreamName | undefined

  constructor(expected: Expected) {
    this.#expected = expected
  }

  add(line: string, where: string): void {
    const object = parsed(line, where)
    if (!isRecord(object)) throw new WrongInput(`${where}: not a JSON object`)
    const of = { source: textOrNothing(object.source), stream: textOrNothing(object.stream) }
    if (this.#expected.stream && !isSame(of, this.#expected.stream)) {
      this.#skipped++
      return
    }
    this.#first ??= of
    if (!isSame(of, this.#first)) {
      throw new WrongInput(
        `${where}: of another stream than the lines before it, and digests are of one stream: ` +
          'give --end with the whole event, which names its stream, or only the lines of one',
      )
    }
    const key = required(object.key ?? object.subject, 'key', where)
    const uid = required(object.uid, 'uid', where)
    if (!this.#uids.add(uid)) throw new WrongInput(`${where}: its uid is on a line before it too`)
    this.#members.add(`${key}:${uid}`)
    if (this.#expected.state !== undefined)
      this.#state.add(`${key}:${uid}:${required(object.resourceVersion, 'resourceVersion', where)}`)
    this.#items++
  }

  found(): Found {
    return { members: `${this.#members}`, state: `${this.#state}`, items: this.#items, skipped: this.#skipped }
  }
}

/** Of a source: the cluster and the resource, in whatever version it is served. */
function resourceOf(source: string): string {
  return source.replace(/^(kubernetes:\/\/[^/]+\/(?:api|apis\/[^/]+))\/[^/]+\//, '$1/')
}

/** What one of them does not say is no difference. */
function isSame(a: StreamName, b: StreamName): boolean {
  return (
    (a.source === undefined || b.source === undefined || resourceOf(a.source) === resourceOf(b.source)) &&
    (a.stream === undefined || b.stream === undefined || a.stream === b.stream)
  )
}

function report(found: Found, expected: Expected): string {
  const skipped = found.skipped > 0 ? `; ${counted(found.skipped, 'line')} of other streams left out` : ''
  const compared = expected.state === undefined ? 'members' : 'members and state'
  if (isEqual(found, expected)) return `equal: ${counted(found.items)}, the same ${compared}${skipped}\n`
  const rows = [
    row('items', `${found.items}`, expected.items === undefined ? undefined : `${expected.items}`),
    row('members', found.members, expected.members),
    row('state', expected.state === undefined ? '-' : found.state, expected.state),
  ]
  const dead = expected.deadLettered > 0 ? `; ${counted(expected.deadLettered, 'dead letter')} may be why` : ''
  return `differs: ${reason(found, expected)}${dead}${skipped}\n${table(['', 'COPY', 'END', ''], rows)}`
}

function row(name: string, copy: string, end: string | undefined): readonly string[] {
  return [name, copy, end ?? '-', end === undefined ? 'not compared' : copy === end ? 'equal' : 'differs']
}

function reason(found: Found, { members, items = found.items }: Expected): string {
  if (found.members === members && found.items === items) return 'the same objects, but other versions of them'
  const more = found.items - items
  const held = counted(found.items)
  if (more === 0) return `${held}, but not the same objects`
  return `${held}, ${Math.abs(more)} ${more > 0 ? 'more' : 'fewer'} than there are`
}

function counted(count: number, what = 'item'): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

const MiB = 2 ** 20

/** A line that is longer than this is not one of a copy. */
const MOST_CHARACTERS = 16 * MiB

async function* linesOf(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield lines
    if (rest.length > MOST_CHARACTERS)
      throw new WrongInput(`${name}: a line is longer than 16 MiB, so it is not an object a line`)
  }
  rest += decoder.decode()
  if (rest !== '') yield [rest]
}

async function* bytesOf(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(file)
  } catch (error) {
    throw unreadable(file, error)
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw unreadable(file, error)
  }
}

function unreadable(file: string, error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error)) return error
  return new WrongInput(`${file}: it cannot be read (${String(error.code)})`)
}

/** The parser's own message quotes the text. */
function parsed(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new WrongInput(`${where}: not JSON`)
  }
}

function required(value: unknown, name: string, where: string): string {
  if (typeof value === 'string' && value !== '') return value
  const what = value === undefined ? 'is missing' : 'is not a text'
  const why =
    name === 'resourceVersion' ? ', which the state is made of: leave --state out to compare members alone' : ''
  throw new WrongInput(`${where}: ${name} ${what}${why}`)
}

function textOrNothing(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
