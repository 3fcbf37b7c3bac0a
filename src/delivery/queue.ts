/**
 * What a worker has accepted and not settled: bounded, in order, and each event in exactly one place.
 *
 *   offer -> capacity (bounded) -> fences (per stream) -> lanes (per key) -> take -> an attempt -> settle
 *                                                           ^                         |
 *                                                           +-------- putBack --------+
 */
import type { Clock } from '../lib/clock.ts'
import { Batcher } from './batcher.ts'
import { Capacity } from './capacity.ts'
import type { DeadLetterCode } from './dead-letters.ts'
import { type Ack, Entry, type Outcome } from './entry.ts'
import type { DeliveryError } from './errors.ts'
import { Fences, type Proof } from './fences.ts'
import { type Lane, Lanes } from './lanes.ts'
import type { WorkerStats } from './observer.ts'
import type { WorkerOptions } from './options.ts'
import type { OutboundEvent, SinkLimits } from './sink.ts'

/** A lane in back-off may hold this part of the queue's limits. */
const LANE_SHARE = 1 / 4

export interface QueueParts {
  readonly limits: SinkLimits
  readonly clock: Clock
  /** Since when the sink is in order, as far as is known, on the clock; undefined while it is not. */
  readonly openSince: () => number | undefined
  /** It failed, and the sink is not to blame. */
  readonly isAtFault: (entry: Entry) => boolean
  /** It failed, and something was delivered since: whatever the sink is to blame for now, it was in order then. */
  readonly isPoison: (entry: Entry) => boolean
  /** There may be something to take that was not there before. */
  readonly onReady: () => void
  /** An event goes out smaller than it was offered. */
  readonly onDegraded: () => void
  /** Everything is settled. */
  readonly onEmpty: () => void
  /** Puts the event into the dead letters and settles it. */
  readonly giveUp: (entry: Entry, code: DeadLetterCode, reason: string) => void
  /** Runs what a timer calls, and reports what it throws. */
  readonly guard: (work: () => void) => void
}

export class Queue {
  readonly #options: WorkerOptions
  readonly #parts: QueueParts
  readonly #capacity: Capacity
  readonly #fences: Fences
  readonly #lanes: Lanes
  readonly #batcher: Batcher
  /** Oldest first. */
  readonly #unsettled = new Set<Entry>()
  #state: 'open' | 'draining' | 'closed' = 'open'

  constructor(options: WorkerOptions, parts: QueueParts) {
    const { limits, clock, openSince, onReady, guard } = parts
    this.#options = options
    this.#parts = parts
    this.#capacity = new Capacity(options.queue)
    this.#lanes = new Lanes({
      sameKeyInBatch: limits.sameKeyInBatch,
      clock,
      onWake: (lane) => guard(() => this.#wake(lane)),
    })
    this.#batcher = new Batcher(options.batch, this.#lanes, clock, onReady)
    this.#fences = new Fences({
      clock,
      timeoutMs: options.timeoutMs,
      openSince,
      pass: (entry) => this.#pass(entry),
      giveWay: (stream, proof) => this.#giveWay(stream, proof),
      complete: (entry) => this.#complete(entry),
      abort: (entry, cause) => this.#abort(entry, cause),
      guard,
    })
  }

  /** Accepted and not settled. */
  get length(): number {
    return this.#unsettled.size
  }

  /** Resolves when the event is accepted. Rejects with `signal.reason`, or that of `drain`; then it is not in here. */
  offer(event: OutboundEvent, ack: Ack, signal: AbortSignal): Promise<void> {
    const { limits } = this.#parts
    const entry = new Entry(event, limits.sizeOf(event), this.#parts.clock.monotonic(), ack)
    while (entry.bytes > this.#options.maxEventBytes) {
      const smaller = entry.event.smaller?.()
      if (!smaller) break
      entry.event = smaller
      entry.bytes = limits.sizeOf(smaller)
    }
    return this.#capacity.enter(entry.bytes, () => this.#accept(entry), signal)
  }

  /** The next batch; empty if nothing is ready, or may still wait for others. Its lanes are locked until `putBack`. */
  take(): readonly Entry[] {
    const closes = this.#batcher.mayClose() || this.#state === 'draining'
    return closes ? this.#lanes.take(this.#batcher.limits) : []
  }

  /** One event to learn from whether the sink is in order, of another lane than `last` if possible. */
  takeOne(last: Lane | undefined): Entry | undefined {
    return this.#lanes.takeOne(last)
  }

  /** Whether `takeOne` will take one that was never sent. */
  hasUnsent(): boolean {
    return this.#lanes.hasUnsent()
  }

  /** The attempt is over, halves included: what is not settled stands at the head of its lane again. */
  putBack(batch: readonly Entry[]): void {
    for (const entry of batch.toReversed()) {
      if (entry.settled) continue
      if (entry.superseded) this.settle(entry, { type: 'dropped' })
      else entry.lane?.unshift(entry)
    }
    for (const { lane } of batch) {
      if (lane?.state !== 'busy') continue
      const delayMs = lane.first?.delayMs
      if (lane.first && delayMs !== undefined && this.#state !== 'closed') {
        this.#lanes.retreat(lane, delayMs)
        this.#relieve(lane)
      } else {
        this.#lanes.release(lane)
      }
    }
  }

  settle(entry: Entry, outcome: Outcome): void {
    entry.settled = true
    this.#unsettled.delete(entry)
    entry.ack(outcome) // before the fence opens: an `end` tells what became of those before it
    if (entry.lane) this.#fences.settled(entry)
    this.#capacity.release(entry.bytes)
    if (this.#unsettled.size === 0) this.#parts.onEmpty()
  }

  /** Another form of the same event goes out. */
  replace(entry: Entry, event: OutboundEvent): void {
    const before = entry.bytes
    entry.event = event
    entry.bytes = this.#parts.limits.sizeOf(event)
    this.#capacity.resize(before, entry.bytes)
  }

  /** Accepts no more; who waits for room is refused with `reason`. Batches close at once. */
  drain(reason: unknown): void {
    if (this.#state === 'open') this.#state = 'draining'
    this.#capacity.close(reason)
  }

  /** Forgets all timers: what is not settled stays so. */
  close(): void {
    this.#state = 'closed'
    this.#fences.close()
    this.#lanes.close()
    this.#batcher.reset()
  }

  stats(): Omit<WorkerStats, 'state' | 'inFlight'> {
    const [oldest] = this.#unsettled
    return {
      queueEvents: this.#capacity.events,
      queueBytes: this.#capacity.bytes,
      oldestAgeMs: oldest ? this.#parts.clock.monotonic() - oldest.offeredAt : 0,
      blockedOffers: this.#capacity.waiting,
      backingOff: this.#lanes.waiting,
    }
  }

  /** There is room for it. */
  #accept(entry: Entry): void {
    this.#unsettled.add(entry)
    const { maxEventBytes } = this.#options
    if (entry.bytes > maxEventBytes) {
      const reason = `${entry.bytes} bytes in its smallest form, the limit is ${maxEventBytes}`
      this.#parts.giveUp(entry, 'too-large', reason)
      return
    }
    if (entry.event !== entry.offered) this.#parts.onDegraded()
    if (entry.offered.supersedes) this.#supersede(entry)
    else this.#fences.offer(entry)
    const lane = entry.lane ?? this.#fences.fenceBefore(entry)?.lane
    if (lane?.state === 'waiting') this.#relieve(lane)
  }

  /** Nothing stands before it any more. */
  #pass(entry: Entry): void {
    this.#lanes.append(entry, this.#options.order === 'none' ? undefined : entry.event.key)
    this.#parts.onReady()
  }

  #complete(entry: Entry): void {
    const final = entry.event.final?.()
    if (final) this.replace(entry, final)
  }

  /** See `FencesOptions.giveWay`. An item is at fault, too, if one before it in its lane is. */
  #giveWay(stream: string, proof: Proof): boolean {
    const { giveUp } = this.#parts
    const isAtFault = this.#parts[proof]
    const causes = new Map<Lane, DeliveryError>()
    const blocking: { readonly entry: Entry; readonly lane: Lane; readonly cause: DeliveryError }[] = []
    for (const entry of this.#unsettled) {
      const { lane, offered, error } = entry
      if (!lane || offered.stream !== stream) continue
      if (error && isAtFault(entry)) causes.set(lane, error)
      const cause = causes.get(lane)
      if (offered.kind !== 'item' || !cause) return false
      blocking.push({ entry, lane, cause })
    }
    if (blocking.every(({ entry }) => entry.givesWay)) return false
    for (const { entry } of blocking) entry.givesWay = true
    const waiting = blocking.filter(({ lane }) => lane.state === 'waiting')
    for (const lane of new Set(waiting.map(({ lane }) => lane))) {
      if (lane.first) this.#endBackOff(lane, lane.first)
    }
    this.#lanes.extract(new Set(waiting.map(({ lane }) => lane)), ({ givesWay }) => givesWay)
    for (const { entry, cause } of waiting) giveUp(entry, cause.code, cause.message)
    return true
  }

  #abort(entry: Entry, cause: string): boolean {
    const aborted = entry.event.aborted?.(cause)
    if (!aborted) return false
    this.replace(entry, aborted)
    entry.abortedBy = cause
    return true
  }

  /** Drops what its stream has waiting, wherever that waits. What is under way is dropped when it fails. */
  #supersede(entry: Entry): void {
    const { stream } = entry.offered
    const lanes = new Set<Lane>()
    for (const old of this.#unsettled) {
      if (old === entry || old.offered.stream !== stream) continue
      old.superseded = true
      if (old.lane) lanes.add(old.lane)
    }
    for (const lane of lanes) {
      if (lane.state === 'waiting' && lane.first?.superseded) this.#endBackOff(lane, lane.first)
    }
    const dropped = [...this.#fences.extract(stream), ...this.#lanes.extract(lanes, (old) => old.superseded)]
    this.#fences.offer(entry)
    for (const old of dropped) this.settle(old, { type: 'dropped' })
  }

  /** A lane in back-off must not fill the queue that all share: its head is given up. An outage is no reason to. */
  #relieve(lane: Lane): void {
    const head = lane.first
    if (!head || this.#parts.openSince() === undefined || !this.#parts.isAtFault(head)) return
    const held = this.#fences.heldBy(head)
    const { events, bytes } = this.#options.queue
    const behind = lane.length + held.events - 1
    if (behind === 0) return
    if (behind + 1 <= events * LANE_SHARE && lane.bytes + held.bytes <= bytes * LANE_SHARE) return
    lane.shift()
    this.#endBackOff(lane, head)
    const reason = `${behind} events waited behind it; its last error: ${head.error?.message}`
    this.#parts.giveUp(head, 'lane-full', reason)
  }

  /** Its time is over. */
  #wake(lane: Lane): void {
    if (lane.first) this.#endBackOff(lane, lane.first)
    this.#parts.onReady()
  }

  #endBackOff(lane: Lane, head: Entry): void {
    this.#lanes.cancelBackOff(lane)
    head.delayMs = undefined
    this.#lanes.release(lane)
  }
}
