import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../support/eventually.ts'
import { cloudeventsPython, use } from './components.ts'
import { type Program, Workspace } from './workspace.ts'

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

/** An HTTP endpoint, in a process of its own, that decodes with the CloudEvents SDK for Python and takes everything. */
export async function startReceiver(): Promise<Receiver> {
  const PYTHONPATH = await use(cloudeventsPython)
  const workspace = await Workspace.create('receiver')
  const script = join(import.meta.dirname, 'receiver.py')
  const program = workspace.start('receiver', 'python3', [script], { PYTHONPATH })
  const receiver = new Receiver(workspace, program)
  await receiver.ready()
  return receiver
}

export class Receiver implements AsyncDisposable {
  readonly #workspace: Workspace
  readonly #program: Program
  readonly #log: string
  #port = 0

  constructor(workspace: Workspace, program: Program) {
    this.#workspace = workspace
    this.#program = program
    this.#log = join(workspace.folder, 'receiver.log')
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`
  }

  async ready(): Promise<void> {
    const port = async () => (await this.#lines())[0]?.port
    try {
      this.#port = await eventually(port, { what: 'the receiver listens' })
    } catch (error) {
      throw new Error(`the receiver does not listen: ${await this.#program.tail()}`, { cause: error })
    }
  }

  /** In the order of their arrival, repeated ones too. Throws if one could not be decoded. */
  async events(): Promise<readonly ReceivedEvent[]> {
    const lines = await this.#lines()
    const failed = lines.find(({ failure }) => failure)
    if (failed) throw new Error(`an event could not be decoded: ${JSON.stringify(failed)}`)
    return lines.flatMap(({ event }) => (event ? [event] : []))
  }

  /** How the events came. */
  async modes(): Promise<ReadonlySet<string>> {
    return new Set((await this.#lines()).flatMap(({ mode }) => (mode ? [mode] : [])))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]()
  }

  async #lines(): Promise<readonly Line[]> {
    const text = await readFile(this.#log, 'utf8')
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
  }
}
