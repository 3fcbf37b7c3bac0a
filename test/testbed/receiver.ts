import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../support/eventually.ts'
import { use } from './component.ts'
import { cloudeventsPython } from './components.ts'
import { type Program, Workspace, whileRunning } from './workspace.ts'

/** An event as the SDK for Python decoded it: attributes by name, and data. */
export interface ReceivedEvent {
  readonly [attribute: string]: unknown
  readonly id: string
  readonly source: string
  readonly type: string
  readonly data: unknown
}

interface Line {
  readonly port?: number
  readonly event?: ReceivedEvent
  readonly mode?: 'binary' | 'structured'
  readonly failure?: string
}

/**
 * An HTTP endpoint, in a process of its own, that decodes with the CloudEvents SDK for Python and takes everything.
 * `host`: the address that it listens on.
 */
export async function startReceiver({ host = '127.0.0.1' } = {}): Promise<Receiver> {
  const PYTHONPATH = await use(cloudeventsPython)
  const workspace = await Workspace.create('receiver')
  try {
    const log = join(workspace.folder, 'received.ndjson')
    const script = join(import.meta.dirname, 'receiver.py')
    const program = workspace.start('receiver', 'python3', [script, log, host], { PYTHONPATH })
    return await Receiver.start(workspace, program, { log, host })
  } catch (error) {
    await workspace[Symbol.asyncDispose]()
    throw error
  }
}

export class Receiver implements AsyncDisposable {
  readonly url: string
  readonly #workspace: Workspace
  readonly #lines: LineFile

  private constructor(workspace: Workspace, lines: LineFile, url: string) {
    this.#workspace = workspace
    this.#lines = lines
    this.url = url
  }

  static async start(
    workspace: Workspace,
    program: Program,
    { log, host }: { readonly log: string; readonly host: string },
  ): Promise<Receiver> {
    const lines = new LineFile(log)
    const port = await whileRunning(program, 'the receiver listens', async () => (await lines.read())[0]?.port)
    return new Receiver(workspace, lines, `http://${host}:${port}/`)
  }

  /** In the order of their arrival, repeated ones too. Throws if one could not be decoded. */
  async events(): Promise<readonly ReceivedEvent[]> {
    const lines = await this.#lines.read()
    const failed = lines.find(({ failure }) => failure)
    if (failed) throw new Error(`an event could not be decoded: ${JSON.stringify(failed)}`)
    return lines.flatMap(({ event }) => (event ? [event] : []))
  }

  /** The events, as soon as there are this many. */
  async until(count: number, withinMs?: number): Promise<readonly ReceivedEvent[]> {
    const what = `${count} events have arrived at the receiver`
    const enough = async () => {
      const lines = await this.#lines.read()
      return lines.length > count || lines.some(({ failure }) => failure)
    }
    await eventually(enough, withinMs === undefined ? { what } : { what, withinMs })
    return await this.events()
  }

  /** How the events came. */
  async modes(): Promise<ReadonlySet<string>> {
    return new Set((await this.#lines.read()).flatMap(({ mode }) => (mode ? [mode] : [])))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]()
  }
}

/** The lines of a file that grows. Each is read and parsed once. */
class LineFile {
  readonly #file: string
  readonly #lines: Line[] = []
  /** Bytes whose lines are in. */
  #offset = 0
  #reading: Promise<void> = Promise.resolve()

  constructor(file: string) {
    this.#file = file
  }

  /** All complete lines so far. */
  async read(): Promise<readonly Line[]> {
    const reading = this.#reading.then(() => this.#readOn())
    this.#reading = reading.catch(() => undefined) // thrown below, to whoever asked
    await reading
    return this.#lines
  }

  async #readOn(): Promise<void> {
    await using file = await open(this.#file)
    const { size } = await file.stat()
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(size - this.#offset),
      position: this.#offset,
    })
    const end = buffer.subarray(0, bytesRead).lastIndexOf('\n') + 1
    for (const line of buffer.toString('utf8', 0, end).split('\n')) {
      if (line) this.#lines.push(JSON.parse(line) as Line)
    }
    this.#offset += end
  }
}
