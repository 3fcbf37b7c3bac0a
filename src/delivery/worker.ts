/**
 * The engine between the streams and one sink. It alone batches, orders, retries and gives up; the sink makes one
 * attempt and says what happened. Start reading at `SinkWorker`.
 *
 *   offer -> queue (what waits, and for what) -> batch -> attempt -> judge -> ack
 *              ^                                                      |
 *              +----------------------- again ------------------------+
 */
import { addAbortListener } from 'node:events'
import type { Disk } from '../journal/disk.ts'
import type { Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { type AttemptResult, Attempts } from './attempt.ts'
import { connect } from './connect.ts'
import type { DeadLetterCode, DeadLetterStore } from './dead-letters.ts'
import type { Ack, Entry } from './entry.ts'
import { type DeliveryError, deliveryErrors } from './errors.ts'
import { withGrace } from './grace.ts'
import { Health } from './health.ts'
import { type FailedAttempt, Judge } from './judge.ts'
import type { Lane } from './lanes.ts'
import { type DeliveryObserver, noObserver, type WorkerStats } from './observer.ts'
import type { WorkerOptions } from './options.ts'
import { Queue } from './queue.ts'
import { lessonOf, type Place } from './ramp.ts'
import type { OutboundEvent, Sink, SinkLimits } from './sink.ts'

export interface WorkerParts {
  readonly sink: Sink
  readonly limits: SinkLimits
  readonly clock: Clock
  readonly deadLetters: DeadLetterStore
  /** @default noObserver */
  readonly observer?: DeliveryObserver
  /** @default Math.random */
  readonly random?: Random
  /** Of a spool. @default the one of this machine */
  readonly disk?: Disk
}

/** What is left when a worker is closed. */
export interface Closed {
  /** Events that were accepted and not acknowledged, and are nowhere else. */
  readonly undelivered: number
  /** Those that stay in the spool, for the next process. */
  readonly spooled?: number
  /** Why the sink could not be disposed, if so. */
  readonly undisposed?: Error
}

/**
 * Guarantees, for every event whose `offer` resolved, unless the worker is closed before:
 * - it is delivered, put into the dead letters, or dropped because its stream superseded it, and `ack` is called exactly
 *   once, then and not earlier;
 * - with `spool` that is so also if the process ends in between, but that `ack` is not called by another process, and that
 *   what was settled shortly before is sent again;
 * - with `coalesce` it may also be merged into another one of its object that is offered before and not settled, or be
 *   dropped with all that its stream has waiting because the queue is full (`overflowed`);
 * - events with one key leave in the order in which they were offered, and none leaves while one before it may still land;
 * - a failing event delays no event with another key, but for what stands behind the end of a snapshot in its stream:
 *   that by at most the time of an attempt, in which nothing of the stream is settled;
 * - once an event that supersedes its stream was sent, nothing that the stream offered before it is;
 * - an outage of the whole sink gives up no event.
 * It starts to connect at once. Whoever made it calls `close`, and watches `failed`.
 */
export class SinkWorker {
  /** Rejects when the worker itself, an observer or an `ack` threw: a bug. It delivers nothing any more. Never resolves. */
  readonly failed: Promise<never>

  readonly #options: WorkerOptions
  readonly #sink: Sink
  readonly #clock: Clock
  readonly #deadLetters: DeadLetterStore
  readonly #observer: DeliveryObserver

  readonly #queue: Queue
  readonly #health: Health
  readonly #judge: Judge

  #inFlight = 0
  /** The event that is sent to see whether the sink is in order again. */
  #probe: Entry | undefined
  #lastProbed: Lane | undefined
  #pumpScheduled = false
  readonly #roomListeners = new Set<() => void>()
  #roomScheduled = false

  readonly #stop = new AbortController()
  readonly #attempts: Attempts
  readonly #connecting: Promise<void>
  #closing: Promise<Closed> | undefined
  #onDrained: (() => void) | undefined
  #onQuiet: (() => void) | undefined
  readonly #reject: (error: unknown) => void

  constructor(options: WorkerOptions, parts: WorkerParts) {
    const { sink, limits, clock, deadLetters, disk, observer = noObserver, random = Math.random } = parts
    this.#options = options
    this.#sink = sink
    this.#clock = clock
    this.#deadLetters = deadLetters
    this.#observer = observer

    const { promise, reject } = Promise.withResolvers<never>()
    this.failed = promise
    this.#reject = reject

    const guard = (work: () => void) => this.#guard(work)
    this.#queue = new Queue(options, {
      limits,
      clock,
      openSince: () => this.#health.openSince ?? (this.#judge.isUnsure ? 0 : undefined),
      sinkState: () => this.#health.state,
      isAtFault: (entry) => this.#judge.isAtFault(entry),
      isPoison: (entry) => this.#judge.isPoison(entry),
      onReady: () => this.#schedulePump(),
      onDegraded: () => observer.degraded(),
      onEmpty: () => this.#tellDrained(),
      onRoom: () => this.#scheduleRoom(),
      onMerged: (events) => observer.merged(events),
      onOverflow: (stream, events) => observer.overflowed(stream, events),
      onSpool: (news) => observer.spool(news),
      onError: (error) => this.#fail(error),
      ...(disk && { disk }),
      giveUp: (entry, code, reason) => this.#giveUp(entry, code, reason),
      guard,
    })
    this.#health = new Health({
      clock,
      random,
      retry: options.retry,
      concurrency: options.concurrency,
      isSuspicion: () => this.#judge.suspects,
      onChange: (state) => {
        observer.state(state)
        this.#queue.watchRoom()
        this.#tellDrained()
        this.#schedulePump()
      },
      guard,
    })
    this.#attempts = new Attempts(sink, { ...options, clock }, this.#stop.signal)
    this.#judge = new Judge({ retry: options.retry, timeoutMs: options.timeoutMs, clock, random })
    this.#connecting = this.#connect(random)
  }

  /**
   * Resolves when the event is accepted, not when it is delivered: that is `ack`, called exactly once, from then on;
   * `merged` only if a later ack holds what is newer, and one before it is still owed.
   * While the queue is full it waits (`block`), until the event is on disk (`spool`), or not at all (`coalesce`). Rejects
   * with `signal.reason`, or with an Error when the worker is closed; then `ack` is never called.
   */
  offer(event: OutboundEvent, ack: Ack, signal: AbortSignal): Promise<void> {
    return this.#queue.offer(event, ack, signal)
  }

  /**
   * The same, but that with `spool` the event is still to be written, so that many can share a write: it is accepted
   * unless the process ends before. What is offered later is written later.
   */
  enqueue(event: OutboundEvent, ack: Ack, signal: AbortSignal): Promise<void> {
    return this.#queue.enqueue(event, ack, signal)
  }

  /** What an earlier process has left in the spool, see `Spool.positions`; resolves when that is known. */
  get spooledPositions(): Promise<ReadonlyMap<string, string>> {
    return this.#queue.positions
  }

  /** Whether what can wait may be offered now: the sink is in order, or to be probed, and its queue nearly empty. */
  get hasRoom(): boolean {
    return this.#queue.hasRoom
  }

  /** Calls `listener` soon after `hasRoom` became true. Never undone: who listens lives as long as the worker. */
  onRoom(listener: () => void): void {
    this.#roomListeners.add(listener)
  }

  stats(): WorkerStats {
    const { state, permitted } = this.#health
    return { state, inFlight: this.#inFlight, permitted, ...this.#queue.stats() }
  }

  /**
   * Takes no more, delivers what it can until `deadline` aborts, and disposes the sink. What was not delivered by then
   * is not acknowledged. With a spool it does not wait for a sink that is out of order: what is on disk stays there. Never
   * rejects, and waits for a sink that does not settle no longer than `GRACE_MS`, twice.
   * Further calls return the first one's promise.
   */
  close(deadline: AbortSignal): Promise<Closed> {
    this.#closing ??= this.#close(deadline)
    return this.#closing
  }

  /** Never rejects. */
  async #connect(random: Random): Promise<void> {
    const onFailure = ({ code, message }: DeliveryError) =>
      this.#guard(() => {
        this.#health.unreached()
        this.#observer.state({ type: 'connecting', code, reason: message })
      })
    const parts = { clock: this.#clock, random, onFailure }
    const connected = await connect(this.#sink, this.#options, parts, this.#stop.signal)
    if (connected) this.#guard(() => this.#health.open())
  }

  /** Many offers in one turn share one pump. */
  #schedulePump(): void {
    if (this.#pumpScheduled) return
    this.#pumpScheduled = true
    queueMicrotask(() => {
      this.#pumpScheduled = false
      this.#guard(() => this.#pump())
    })
  }

  #scheduleRoom(): void {
    if (this.#roomScheduled) return
    this.#roomScheduled = true
    queueMicrotask(() => {
      this.#roomScheduled = false
      this.#guard(() => {
        for (const listener of this.#roomListeners) listener()
      })
    })
  }

  /** Starts as many attempts as may be in flight. */
  #pump(): void {
    const { concurrency } = this.#options
    while (this.#inFlight < concurrency && this.#health.hasPlace && !this.#stop.signal.aborted) {
      const batch = this.#nextBatch()
      if (batch.length === 0) return
      this.#inFlight++
      void this.#run(batch, this.#health.take())
    }
  }

  get #suspects(): boolean {
    return this.#judge.suspects
  }

  #nextBatch(): readonly Entry[] {
    if (this.#health.state === 'open') return this.#queue.take()
    if (this.#health.state === 'paused' && this.#suspects && this.#queue.hasUnsent()) this.#health.probe()
    if (this.#health.state !== 'probing' || this.#probe) return []
    const probe = this.#queue.takeOne(this.#lastProbed)
    if (!probe) return []
    this.#probe = probe
    this.#lastProbed = probe.lane
    return [probe]
  }

  /** Never rejects. */
  async #run(batch: readonly Entry[], place: Place): Promise<void> {
    try {
      await this.#send(batch, place)
      this.#queue.putBack(batch)
    } catch (error) {
      this.#fail(error)
    }
    this.#inFlight--
    this.#health.giveBack(place)
    if (this.#inFlight === 0) this.#onQuiet?.()
    this.#schedulePump()
  }

  async #send(batch: readonly Entry[], place: Place): Promise<void> {
    const { signal } = this.#stop
    const startedAt = this.#clock.monotonic()
    for (const entry of batch) entry.attempts++
    const events = batch.map((entry) => entry.event)
    const result = await this.#attempts.attempt(events)
    const durationMs = this.#clock.monotonic() - startedAt
    this.#observer.attempt({ events: batch.length, durationMs, result: summary(result, batch.length) })

    if (batch.length > 1 && result.type === 'thrown' && isAboutSome(result)) return await this.#sendHalves(batch, place)

    const wasOpen = this.#health.state === 'open'
    const unexpected = result.type === 'thrown' && !result.known
    const partial = result.type === 'answered' && result.errors.size < batch.length
    for (const [index, entry] of batch.entries()) {
      const error = result.type === 'thrown' ? result.error : result.errors.get(index)
      if (!error) this.#delivered(entry)
      else if (signal.aborted) this.#observer.sent(error.code)
      else this.#failedOnce(entry, error, { durationMs, wasOpen, isProbe: entry === this.#probe, unexpected, partial })
    }
    this.#health.learn(lessonOf(result, batch.length), place)
    const [entry] = batch
    if (entry === this.#probe) {
      this.#probe = undefined
      // not paused again: the sink answered, if only about this event
      if (this.#health.state === 'probing' && !signal.aborted) this.#health.open()
    }
  }

  /** The lanes stay locked meanwhile; an event whose predecessor failed is not sent. */
  async #sendHalves(batch: readonly Entry[], place: Place): Promise<void> {
    if (this.#health.state !== 'open') return
    const middle = Math.ceil(batch.length / 2)
    const first = batch.slice(0, middle)
    await this.#send(first, place)
    const stuck = new Set(first.filter((entry) => !entry.settled).map((entry) => entry.lane))
    const rest = batch.slice(middle).filter((entry) => !stuck.has(entry.lane))
    if (rest.length > 0 && this.#health.state === 'open' && !this.#stop.signal.aborted) await this.#send(rest, place)
  }

  #delivered(entry: Entry): void {
    this.#observer.sent('delivered')
    this.#judge.delivered(entry)
    const { abortedBy } = entry
    this.#queue.settle(entry, abortedBy === undefined ? { type: 'delivered' } : { type: 'aborted', cause: abortedBy })
  }

  #failedOnce(entry: Entry, error: DeliveryError, attempt: FailedAttempt): void {
    this.#observer.sent(error.code)
    entry.error = error
    const { verdict, pause } = this.#judge.failed(entry, error, attempt)
    if (pause) {
      if (attempt.wasOpen) this.#lastProbed = entry.lane // the first probe is another one
      this.#health.pause(pause)
    }
    if (entry.superseded) return // dropped once the attempt is over
    switch (verdict.type) {
      case 'hold':
        this.#observer.retry(error, 'all')
        break
      case 'back-off':
        entry.delayMs = verdict.delayMs
        this.#observer.retry(error, 'lane')
        break
      case 'degrade':
        this.#queue.replace(entry, verdict.event)
        this.#observer.degraded()
        break
      case 'give-up':
        this.#giveUp(entry, verdict.code, verdict.reason)
        break
    }
  }

  #giveUp(entry: Entry, code: DeadLetterCode, reason: string): void {
    const { offered: event, attempts } = entry
    const letter = { sink: this.#options.name, code, reason, attempts, time: this.#clock.now().toISOString(), event }
    const kept = this.#deadLetters.add(letter)
    this.#observer.deadLetter(letter)
    const settle = () => this.#queue.settle(entry, { type: 'dead-lettered', code, reason })
    if (kept === undefined) settle()
    else void this.#settleOnce(kept, entry, settle)
  }

  /** Until the store has it the entry is not settled, and its lane waits. If that never is, nobody is told otherwise. */
  async #settleOnce(kept: Promise<void>, entry: Entry, settle: () => void): Promise<void> {
    this.#queue.hold(entry)
    try {
      await kept
    } catch {
      return // the process ends: what is not settled is not acknowledged
    }
    this.#guard(() => {
      settle()
      this.#queue.letGo(entry)
      this.#schedulePump()
    })
  }

  async #close(deadline: AbortSignal): Promise<Closed> {
    this.#queue.drain(new Error(`sink ${this.#options.name} is closed`))
    if (!this.#isDrained) {
      this.#schedulePump()
      const over = Promise.withResolvers<void>()
      this.#onDrained = over.resolve
      using _deadline = addAbortListener(deadline, () => over.resolve())
      using _failed = addAbortListener(this.#stop.signal, () => over.resolve())
      await over.promise
    }
    this.#stop.abort(new DOMException(`sink ${this.#options.name} is closed`, 'AbortError'))
    this.#health.close()
    this.#queue.close()
    await this.#connecting
    if (this.#inFlight > 0) {
      const quiet = Promise.withResolvers<void>()
      this.#onQuiet = quiet.resolve
      await quiet.promise
    }
    const undisposed = await this.#dispose()
    await this.#queue.release()
    const { length, onDisk: spooled } = this.#queue
    return { undelivered: length - spooled, ...(spooled > 0 && { spooled }), ...(undisposed && { undisposed }) }
  }

  /** Nothing is left to be done, or nothing that could be done now and not by the next process. */
  get #isDrained(): boolean {
    const { length, onDisk } = this.#queue
    return length === 0 || (length === onDisk && this.#health.state !== 'open')
  }

  #tellDrained(): void {
    if (this.#onDrained && this.#isDrained) this.#onDrained()
  }

  /** Why it failed, if it did: what was delivered is, whatever the sink leaves behind. */
  async #dispose(): Promise<Error | undefined> {
    const refusal = () => new Error(`sink ${this.#options.name} did not end its dispose in time`)
    try {
      await withGrace(this.#sink[Symbol.asyncDispose](), { clock: this.#clock, refusal }, this.#stop.signal)
      return undefined
    } catch (error) {
      return error instanceof Error ? error : new Error(`sink ${this.#options.name} threw a ${typeof error}`)
    }
  }

  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#reject(error)
    this.#stop.abort(error)
    this.#queue.drain(error)
    this.#queue.close()
  }
}

/** A failure of a whole batch that some of its events may have caused: halve the batch to find them. */
function isAboutSome({ error, known }: Extract<AttemptResult, { type: 'thrown' }>): boolean {
  return !known || deliveryErrors[error.code].class === 'permanent'
}

function summary(result: AttemptResult, events: number): 'delivered' | 'partial' | DeliveryError['code'] {
  if (result.type === 'thrown') return result.error.code
  if (result.errors.size === 0) return 'delivered'
  const [first] = result.errors.values()
  return result.errors.size < events || !first ? 'partial' : first.code
}
