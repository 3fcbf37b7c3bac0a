/**
 * An HTTP endpoint in a process of its own that takes everything. Of each event it writes down when it came and its
 * attributes, and of markers their data: what a copy needs that holds no objects.
 */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { type Decoded, eventTypes } from '../../../src/events/index.ts'
import { Workspace, whileRunning } from '../../testbed/workspace.ts'

export interface Arrival extends Decoded {
  /** In ms since 1970. */
  readonly at: number
}

/** So far. */
export interface Tally {
  readonly events: number
  readonly begins: number
  readonly ends: number
  /** Of what was no part of a snapshot: the newest resourceVersion; `0` before there is one. */
  readonly newest: string
}

const NAME = 'receiver'

export class BigReceiver implements AsyncDisposable {
  readonly url: string
  readonly #workspace: Workspace

  private constructor(workspace: Workspace, url: string) {
    this.#workspace = workspace
    this.url = url
  }

  static async start(): Promise<BigReceiver> {
    const workspace = await Workspace.create('big-receiver')
    try {
      const program = workspace.start(NAME, process.execPath, [import.meta.filename])
      const url = await whileRunning(program, 'the receiver listens', () => firstLine(logOf(workspace)))
      return new BigReceiver(workspace, url)
    } catch (error) {
      await workspace[Symbol.asyncDispose]()
      throw error
    }
  }

  async tally(): Promise<Tally> {
    const response = await fetch(this.url)
    return (await response.json()) as Tally
  }

  /** All of it, in the order in which it came. */
  async *arrivals(): AsyncGenerator<Arrival> {
    let isFirst = true
    for await (const line of linesOf(logOf(this.#workspace))) {
      if (!isFirst) yield JSON.parse(line) as Arrival
      isFirst = false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]()
  }
}

function logOf({ folder }: Workspace): string {
  return join(folder, `${NAME}.log`)
}

function linesOf(file: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })
}

async function firstLine(file: string): Promise<string | undefined> {
  for await (const line of linesOf(file)) return line
  return undefined
}

async function serve(): Promise<void> {
  const tally = { events: 0, begins: 0, ends: 0, newest: '0' }
  const take = (body: string) => {
    const at = Date.now()
    const { data, ...attributes } = JSON.parse(body) as { readonly type: string; readonly [name: string]: unknown }
    const isObject = typeof attributes.uid === 'string'
    const arrival = { at, attributes, data: isObject ? { object: null } : data }
    process.stdout.write(`${JSON.stringify(arrival)}\n`)
    tally.events++
    if (attributes.type === eventTypes.snapshotBegin) tally.begins++
    else if (attributes.type === eventTypes.snapshotEnd) tally.ends++
    else if (attributes.type !== eventTypes.snapshotItem && isObject) {
      const version = String(attributes.resourceversion ?? 0)
      if (BigInt(version) > BigInt(tally.newest)) tally.newest = version
    }
  }
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.end(JSON.stringify(tally satisfies Tally))
      return
    }
    text(request).then(
      (body) => {
        take(body)
        response.writeHead(204).end()
      },
      () => response.destroy(), // who sent it has given it up
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}/\n`)
}

if (import.meta.main) await serve()
