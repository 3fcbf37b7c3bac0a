import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Clock } from '../lib/clock.ts'
import { page } from './list.ts'
import type { ListOptions } from './list-options.ts'
import type { Representation } from './representation.ts'
import type { ResourceRequest } from './request.ts'
import type { Definition } from './resources.ts'
import { expired, type Failure, StatusError, statusObject } from './status.ts'
import { objectOf } from './stored-object.ts'
import type { Table, TableEvent, Version } from './table.ts'

/** What a watch is about, and where its frames come from. */
export interface WatchSource {
  readonly request: ResourceRequest
  readonly definition: Definition
  readonly table: Table
  readonly options: ListOptions
  readonly form: Representation
  /** The store's revision now. */
  revision(): bigint
}

export interface WatchTiming {
  readonly clock: Clock
  readonly bookmarkIntervalMs: number
  readonly timeoutMs: number
}

/** What ends a watch, or holds it up. */
type Ending =
  | { readonly type: 'close' }
  | { readonly type: 'reset' }
  | { readonly type: 'error'; readonly failure: Failure }
  | { readonly type: 'truncate'; readonly then: 'close' | 'reset' }

/** How long before its deadline a watch gets its last bookmark. */
const LAST_BOOKMARK_MS = 2_000
/** Frames are written in pieces of about this many characters. */
const PIECE = 65_536

/**
 * One open watch. It keeps no queue: it remembers where in the table's history it is and reads on when the client takes
 * more. A client that is so slow that the history runs out is closed, as the real server does.
 */
export class Watch {
  readonly request: ResourceRequest
  readonly #source: WatchSource
  readonly #timing: WatchTiming
  readonly #output: Writable
  readonly #destroy: () => void
  #sequence = 0
  #reached: bigint
  #ending: Ending | undefined
  #stalled = false
  #bookmarkDue = false
  #over = false
  #wake: () => void = () => undefined

  constructor(source: WatchSource, timing: WatchTiming, output: Writable, destroy: () => void) {
    this.request = source.request
    this.#source = source
    this.#timing = timing
    this.#output = output
    this.#destroy = destroy
    this.#reached = source.options.resourceVersion ?? 0n
  }

  /** Ends the response properly, after everything that has happened so far was sent. */
  close(): void {
    this.#end({ type: 'close' })
  }

  /** Cuts the connection. */
  reset(): void {
    this.#end({ type: 'reset' })
  }

  /** Sends an ERROR frame with this Status and ends: what happened and was not sent yet is not sent any more. */
  error(failure: Failure): void {
    this.#end({ type: 'error', failure })
  }

  /** Of the next frame only half is sent; then the response ends properly, or the connection is cut. */
  truncate(then: 'close' | 'reset'): void {
    this.#ending = { type: 'truncate', then }
  }

  /** Sends nothing any more, not even bookmarks, while the connection stays up. */
  stall(): void {
    this.#stalled = true
  }

  /** Begins once `reached` resolves; a StatusError there is sent as ERROR frame. Resolves when the watch is over, whoever ended it. */
  async run(reached: Promise<void>): Promise<void> {
    const { clock, timeoutMs } = this.#timing
    const { table, options } = this.#source
    using _listener = table.listen(() => this.#wake())
    using _deadline = clock.after(timeoutMs, () => this.close())
    using _bookmarks = this.#scheduleBookmarks()
    const gone = finished(this.#output)
      .catch(() => undefined)
      .then(() => {
        this.#over = true
        this.#wake()
      })
    try {
      await reached
      if (options.sendInitialEvents) await this.#sendState()
      else await this.#begin()
      await this.#follow()
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      await this.#write(frame('ERROR', JSON.stringify(statusObject(error.failure))))
    }
    if (!this.#over && !this.#isCut()) this.#output.end()
    await gone
  }

  #isCut(): boolean {
    return this.#ending?.type === 'reset' || (this.#ending?.type === 'truncate' && this.#ending.then === 'reset')
  }

  #end(ending: Ending): void {
    this.#ending = ending
    this.#wake()
    if (ending.type === 'reset') this.#destroy()
  }

  async #begin(): Promise<void> {
    const { table, options, revision } = this.#source
    const from = options.resourceVersion
    // Only an explicit sendInitialEvents=false comes here without a version, or with 0: from now on
    if (from === undefined || from === 0n) this.#reached = revision()
    else if (from < table.watchFloor) throw expired(`too old resource version: ${from} (${table.watchFloor})`)
    this.#sequence = table.sequenceAfter(this.#reached)
  }

  async #sendState(): Promise<void> {
    const { table, request, options, form, revision } = this.#source
    const { versions, revision: at } = page(
      table,
      request.namespace,
      { ...options, limit: 0, continue: '' },
      revision(),
    )
    this.#sequence = table.end
    this.#reached = at
    let text = ''
    for (const version of versions) {
      text += frame('ADDED', form.whole(version))
      if (text.length < PIECE) continue
      if (!(await this.#write(text))) return
      text = ''
    }
    if (options.marksTheirEnd) text += this.#bookmark({ annotations: { 'k8s.io/initial-events-end': 'true' } })
    if (text !== '') await this.#write(text)
  }

  async #follow(): Promise<void> {
    const { table, options, revision } = this.#source
    while (!this.#over) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      if (this.#ending?.type === 'error') throw new StatusError(this.#ending.failure)
      const text = this.#stalled ? '' : this.#take()
      if (text !== '') {
        if (!(await this.#write(text))) return
        continue
      }
      if (this.#ending?.type === 'close' || table.closed || table.eventAt(this.#sequence) === 'lost') return
      if (this.#bookmarkDue && !this.#stalled) {
        this.#bookmarkDue = false
        if (revision() > this.#reached) this.#reached = revision()
        if (options.allowWatchBookmarks && !(await this.#write(this.#bookmark({})))) return
        continue
      }
      await woken
    }
  }

  /** The frames of what has happened since, up to a good piece. */
  #take(): string {
    const { table } = this.#source
    let text = ''
    for (;;) {
      const event = table.eventAt(this.#sequence)
      if (event === undefined || event === 'lost') return text
      this.#sequence++
      // A client may know a version that this server has yet to reach
      if (event.version.revision <= this.#reached) continue
      this.#reached = event.version.revision
      text += this.#frameOf(event)
      if (text.length >= PIECE || (text !== '' && this.#ending?.type === 'truncate')) return text
    }
  }

  /** What an event is for this watch: an object that comes to match is ADDED, one that no longer does is DELETED. */
  #frameOf({ type, version, previous }: TableEvent): string {
    const { definition, form } = this.#source
    const was = previous !== undefined && this.#selects(previous)
    const is = type !== 'DELETED' && this.#selects(version)
    if (is) return frame(was ? 'MODIFIED' : 'ADDED', form.whole(version))
    if (!was) return ''
    // The last state that matched, at the version of the change
    return frame(
      'DELETED',
      form.whole(type === 'DELETED' ? version : atRevision(definition, previous, version.revision)),
    )
  }

  #selects(version: Version): boolean {
    const { request, options } = this.#source
    return (request.namespace === '' || version.namespace === request.namespace) && options.selects(version)
  }

  #bookmark(metadata: object): string {
    const { kind, apiVersion } = this.#source.form
    const resourceVersion = String(this.#reached)
    return frame('BOOKMARK', JSON.stringify({ kind, apiVersion, metadata: { resourceVersion, ...metadata } }))
  }

  #scheduleBookmarks(): Disposable {
    const { clock, bookmarkIntervalMs, timeoutMs } = this.#timing
    const remind = () => {
      this.#bookmarkDue = true
      this.#wake()
    }
    const repeat = () => {
      timer = clock.after(bookmarkIntervalMs, repeat)
      remind()
    }
    let timer = clock.after(bookmarkIntervalMs, repeat)
    const last = timeoutMs > LAST_BOOKMARK_MS ? clock.after(timeoutMs - LAST_BOOKMARK_MS, remind) : undefined
    return {
      [Symbol.dispose]() {
        timer[Symbol.dispose]()
        last?.[Symbol.dispose]()
      },
    }
  }

  /** False if the watch is over and nothing more may be written. Waits while the client takes nothing. */
  async #write(text: string): Promise<boolean> {
    if (this.#over) return false
    const ending = this.#ending
    if (ending?.type === 'truncate') {
      const half = text.slice(0, text.length / 2)
      // Without a reset packet: it would take from the client what it has not read yet
      this.#output.write(half, () => ending.then === 'reset' && this.#output.destroy())
      return false
    }
    if (this.#output.write(text)) return true
    const drained = Promise.withResolvers<void>()
    this.#wake = () => {
      if (this.#over) drained.resolve()
    }
    this.#output.once('drain', drained.resolve)
    await drained.promise
    this.#output.off('drain', drained.resolve)
    return !this.#over
  }
}

function frame(type: string, object: string): string {
  return `{"type":"${type}","object":${object}}\n`
}

function atRevision(definition: Definition, version: Version, revision: bigint): Version {
  const { apiVersion: _, kind: __, ...object } = objectOf(definition, version)
  const metadata = { ...(object.metadata as object), resourceVersion: String(revision) }
  return { ...version, revision, body: JSON.stringify({ ...object, metadata }).slice(1) }
}
