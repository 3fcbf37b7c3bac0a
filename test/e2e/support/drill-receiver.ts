/**
 * An HTTP endpoint in a process of its own, so that who measures it does not slow it down. It goes out of order when it
 * is told to, and writes what it took, with the time, to its standard output.
 */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { request } from 'undici'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import { Workspace, whileRunning } from '../../testbed/workspace.ts'

/**
 * `refuse`: 503. `hang`: no answer. `close`: nobody listens. `choosy`: the names of objects decide, 400 for `reject-*`, a
 * connection that is cut for `reset-*`; all others are taken.
 */
export type ReceiverMode = 'take' | 'refuse' | 'hang' | 'close' | 'choosy'

export interface DrillEvent {
  /** When it was taken, in ms since 1970. */
  readonly at: number
  /** Of its data only what tells versions apart. */
  readonly event: ReceivedEvent
}

export interface ReceiverState {
  readonly taken: number
  readonly last: string
  readonly newest: string
}

interface Start {
  readonly url: string
  readonly control: string
}

export class DrillReceiver implements AsyncDisposable {
  readonly url: string
  readonly #control: string
  readonly #workspace: Workspace

  private constructor(workspace: Workspace, { url, control }: Start) {
    this.#workspace = workspace
    this.url = url
    this.#control = control
  }

  static async start(): Promise<DrillReceiver> {
    const workspace = await Workspace.create('drill-receiver')
    try {
      const program = workspace.start('receiver', process.execPath, [import.meta.filename])
      const started = async () => (await linesOf(workspace))[0]
      const line = await whileRunning(program, 'the receiver listens', started)
      return new DrillReceiver(workspace, JSON.parse(line) as Start)
    } catch (error) {
      await workspace[Symbol.asyncDispose]()
      throw error
    }
  }

  /** From when it resolves on. */
  async set(mode: ReceiverMode): Promise<void> {
    await this.#ask(mode)
  }

  /** How many it took, and the resourceVersions of the last one and of the newest one; '' before there is one. */
  async state(): Promise<ReceiverState> {
    return JSON.parse(await this.#ask('state')) as ReceiverState
  }

  /** All that it took, in that order. */
  async events(): Promise<readonly DrillEvent[]> {
    const [, ...lines] = await linesOf(this.#workspace)
    return lines.map((line) => JSON.parse(line) as DrillEvent)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]()
  }

  /** By a connection of its own: one that idled may be closed at the moment it is used. */
  async #ask(what: string): Promise<string> {
    const { statusCode, body } = await request(`${this.#control}${what}`, { reset: true })
    const answer = await body.text()
    if (statusCode !== 200) throw new Error(`the receiver answers ${statusCode} to ${what}: ${answer}`)
    return answer
  }
}

/** The whole lines that it printed. */
async function linesOf({ folder }: Workspace): Promise<readonly string[]> {
  const lines = (await readFile(join(folder, 'receiver.log'), 'utf8')).split('\n')
  return lines.slice(0, -1)
}

async function listen(server: Server, port: number): Promise<string> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** What the oracle looks at. */
function summaryOf(body: string): ReceivedEvent {
  const { data, ...attributes } = JSON.parse(body) as ReceivedEvent
  const { object } = (data ?? {}) as { readonly object?: { readonly metadata?: Record<string, unknown> } }
  if (!object?.metadata) return attributes as ReceivedEvent
  const { resourceVersion, managedFields } = object.metadata
  return { ...attributes, data: { object: { metadata: { resourceVersion, managedFields } } } } as ReceivedEvent
}

type Fate = 'take' | 'refuse' | 'reject' | 'reset'

function fateOf(mode: ReceiverMode, body: string): Fate {
  if (mode !== 'choosy') return mode === 'take' ? 'take' : 'refuse'
  const { name } = JSON.parse(body) as ReceivedEvent
  const [, fate] = /^(reject|reset)-/.exec(String(name)) ?? []
  return (fate ?? 'take') as Fate
}

const statuses = { take: 204, refuse: 503, reject: 400 } as const

async function serve(): Promise<void> {
  let mode: ReceiverMode = 'take'
  let taken = 0
  let last = ''
  let newest = ''
  const hanging = new Set<ServerResponse>()
  const take = (body: string) => {
    const event = summaryOf(body)
    process.stdout.write(`${JSON.stringify({ at: Date.now(), event })}\n`)
    taken++
    if (typeof event.resourceversion !== 'string') return
    last = event.resourceversion
    if (BigInt(last) > BigInt(newest)) newest = last
  }
  const server = createServer((request, response) => {
    if (mode === 'hang') {
      hanging.add(response)
      response.once('close', () => hanging.delete(response))
      return
    }
    text(request).then(
      (body) => {
        const fate = fateOf(mode, body)
        if (fate === 'take') take(body)
        if (fate === 'reset') request.socket.resetAndDestroy()
        else response.writeHead(statuses[fate]).end()
      },
      () => response.destroy(), // who sent it has given it up
    )
  })
  const url = await listen(server, 0)
  const change = async (to: ReceiverMode) => {
    if (mode === 'close') await listen(server, Number(new URL(url).port))
    mode = to
    for (const response of hanging) response.destroy()
    if (to !== 'close') return
    server.closeAllConnections()
    await once(server.close(), 'close')
  }
  const control = createServer((request, response) => {
    const what = request.url?.slice(1)
    const done = (body = '') => response.end(body)
    if (what === 'state') done(JSON.stringify({ taken, last, newest } satisfies ReceiverState))
    else
      change(what as ReceiverMode).then(
        () => done(),
        (error: unknown) => response.writeHead(500).end(String(error)),
      )
  })
  process.stdout.write(`${JSON.stringify({ url, control: await listen(control, 0) })}\n`)
}

if (import.meta.main) await serve()
