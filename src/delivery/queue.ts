/**
 * What a worker has accepted and not settled: bounded, in order, and each event in exactly one place.
 *
 *   offer -> capacity (bounded) -> fences (per stream) -> lanes (per key) -> take -> an attempt -> settle
 *                                                           ^                         |
 *                                                           +-------- putBack --------+
 *
 * Without room an offer waits (`block`), or the event does so on disk, where each is written first (`spool`, spool.ts), or
 * nobody ever waits (`coalesce`): then, from half of a limit until below a quarter of both, and while the sink is out of
 * order, an event is merged into the one before it of the same object (coalescer.ts); and at a limit all that the stream
 * with the largest share has waiting is dropped (overflow.ts).
 */
import { Batcher } from './batcher.ts'
import { Capacity, type CapacityLimits } from './capacity.ts'
import { Coalescer } from './coalescer.ts'
import { type Ack, Entry, type Outcome } from './entry.ts'
import { Fences, type Proof } from './fences.ts'
import { itemsAtFault } from './giving-way.ts'
import { type Lane, Lanes } from './lanes.ts'
import type { WorkerStats } from './observer.ts'
import type { QueueOptions, WorkerOptions } from './options.ts'
import { largestShare } from './overflow.ts'
import type { QueueParts } from './queue-parts.ts'
import type { OutboundEvent } from './sink.ts'
import { Spool } from './spool.ts'

const accepted = Promise.resolve()

/** A lane in back-off may hold this part of the queue's limits. */
const LANE_SHARE = 1 / 4
/** So much of them is for what waits to be written to a spool. */
const UNWRITTEN_SHARE = 1 / 4

export class Queue {
  readonly #options: WorkerOptions
  readonly #parts: QueueParts
  readonly #capacity: Capacity
  readonly #fences: Fences
  readonly #lanes: Lanes
  readonly #batcher: Batcher
  /** Oldest first. */
  readonly #unsettled = new Set<Entry>()
  readonly #coalescer: Coalescer | undefined
  readonly #spool: Spool | undefined
  #state: 'open' | 'draining' | 'closed' = 'open'
  #coalescing = false
  /** Items of snapshots, and how many of them may be in here at a time. */
  #items = 0
  readonly #mostItems: number
  /** All that waited when the queue was filling up was merged. */
  #isMerged = false
  #hadRoom = false
  /** Given up, and not in the store of dead letters yet. */
  readonly #held = { events: 0, bytes: 0 }

  constructor(options: WorkerOptions, parts: QueueParts) {
    const { limits, clock, openSince, onReady, guard } = parts
    this.#options = options
    this.#parts = parts
    const { queue, concurrency, batch } = options
    this.#mostItems = concurrency * batch.events
    this.#capacity = new Capacity(queue.spool ? shareOf(queue, 1 - UNWRITTEN_SHARE) : queue)
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
    if (queue.spool) {
      this.#spool = new Spool({
        options: queue.spool,
        window: shareOf(queue, UNWRITTEN_SHARE),
        clock,
        ...(parts.disk && { disk: parts.disk }),
        fits: (bytes) => this.#capacity.fits(bytes),
        feed: (entry) => this.#admit(entry),
        entryOf: (event, ack, offeredAt) => this.#entryOf(event, ack, offeredAt),
        onFull: () => this.#relieveOldest(),
        onDirect: () => this.watchRoom(),
        onWritten: () => parts.onEmpty(),
        onNews: parts.onSpool,
        onError: parts.onError,
      })
    }
    if (queue.whenFull === 'coalesce') {
      this.#coalescer = new Coalescer({
        put: (entry, event) => this.#put(entry, event),
        remove: (entries) => this.#drop(entries, { type: 'merged' }),
        onMerged: parts.onMerged,
      })
    }
  }

  /**
   * Whether what is not urgent may be offered: there are no more items than can be under way at a time, because a live
   * change waits behind those that are not; and the sink is in order, and less than a quarter of each limit is used, or
   * there is nothing else to find out with whether it is in order. With `block` live changes have to wait too, and items
   * take turns with them.
   */
  get hasRoom(): boolean {
    if (this.#state !== 'open' || this.#items >= this.#mostItems) return false
    if (this.#options.queue.whenFull === 'block') return true
    const sinkState = this.#parts.sinkState()
    const isTaken = sinkState === 'open' || (sinkState === 'probing' && this.#unsettled.size === 0)
    return isTaken && this.#capacity.isFree && (this.#spool?.isDirect ?? true)
  }

  /** The sink is in order now, or not any more. */
  watchRoom(): void {
    const { hasRoom } = this
    const isNew = hasRoom && !this.#hadRoom
    this.#hadRoom = hasRoom
    if (isNew) this.#parts.onRoom()
  }

  /** Accepted and not settled, on disk or not. */
  get length(): number {
    const { waiting = 0, unwritten = 0 } = this.#spool ?? {}
    return this.#unsettled.size + waiting + unwritten
  }

  /** So many of them outlive the process. */
  get onDisk(): number {
    return this.#spool?.events ?? 0
  }

  /** See `Spool.positions`. */
  get positions(): Promise<ReadonlyMap<string, string>> {
    return this.#spool?.positions ?? Promise.resolve(new Map())
  }

  /** Resolves when the event is accepted. Rejects with `signal.reason`, or that of `drain`; then it is not in here. */
  offer(event: OutboundEvent, ack: Ack, signal: AbortSignal): Promise<void> {
    if (!this.#spool) return this.enqueue(event, ack, signal)
    const entry = this.#entryOf(event, ack)
    return this.#isTooLarge(entry) ? this.#admitUnwritten(entry, this.#spool, signal) : this.#spool.offer(entry, signal)
  }

  /** The same, but that a spool has yet to write it: it is accepted if the process does not end before. */
  enqueue(event: OutboundEvent, ack: Ack, signal: AbortSignal): Promise<void> {
    if (this.#coalescer && this.#state === 'open' && !signal.aborted) {
      this.#offerAtOnce(event, ack, this.#coalescer)
      return accepted
    }
    const entry = this.#entryOf(event, ack)
    if (!this.#spool) return this.#capacity.enter(entry.bytes, () => this.#accept(entry), signal)
    if (this.#isTooLarge(entry)) return this.#admitUnwritten(entry, this.#spool, signal)
    return this.#spool.enqueue(entry, signal)
  }

  /** The next batch; empty if nothing is ready, or may still wait for others. Its lanes are locked until `putBack`. */
  take(): readonly Entry[] {
    const closes = this.#batcher.mayClose() || this.#state === 'draining'
    const batch = closes ? this.#lanes.take(this.#batcher.limits) : []
    for (const entry of batch) entry.isUnderWay = true
    return batch
  }

  /** One event to learn from whether the sink is in order, of another lane than `last` if possible. */
  takeOne(last: Lane | undefined): Entry | undefined {
    const entry = this.#lanes.takeOne(last)
    if (entry) entry.isUnderWay = true
    return entry
  }

  /** Whether `takeOne` will take one that was never sent. */
  hasUnsent(): boolean {
    return this.#lanes.hasUnsent()
  }

  /** The attempt is over, halves included: what is not settled stands at the head of its lane again. */
  putBack(batch: readonly Entry[]): void {
    for (const entry of batch.toReversed()) {
      if (entry.settled || entry.isHeld) continue
      entry.isUnderWay = false
      if (entry.superseded) this.settle(entry, { type: 'dropped' })
      else entry.lane?.unshift(entry)
    }
    for (const { lane } of batch) {
      if (lane?.state !== 'busy') continue
      if (lane.held > 0) {
        lane.isParked = true
        continue
      }
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
    if (entry.isItem) this.#items--
    this.#coalescer?.settled(entry)
    entry.ack(outcome) // before the fence opens: an `end` tells what became of those before it
    if (entry.lane || entry.isHeld) this.#fences.settled(entry)
    if (entry.isHeld) {
      this.#held.events--
      this.#held.bytes -= entry.bytes
    }
    this.#capacity.release(entry.bytes)
    this.#spool?.settled(entry)
    if (this.length === this.onDisk) this.#parts.onEmpty()
    this.watchRoom()
  }

  /** It was given up, and its letter is on the way to the store: nothing of its lane is sent until `letGo`. */
  hold(entry: Entry): void {
    entry.isHeld = true
    this.#held.events++
    this.#held.bytes += entry.bytes
    entry.isUnderWay = true // nothing is merged into it, and no overflow drops it
    const { lane } = entry
    if (!lane) {
      this.#fences.hold(entry)
      return
    }
    lane.held++
    if (lane.state !== 'ready') return
    this.#lanes.lock(lane)
    lane.isParked = true
  }

  /** The store has it, and it is settled. */
  letGo({ lane }: Entry): void {
    if (!lane || --lane.held > 0 || !lane.isParked) return
    lane.isParked = false
    this.#lanes.release(lane)
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
    this.#spool?.drain(reason)
  }

  /** Forgets all timers: what is not settled stays so. */
  close(): void {
    this.#state = 'closed'
    this.#spool?.stop()
    this.#fences.close()
    this.#lanes.close()
    this.#batcher.reset()
  }

  /** After `close`, and when nothing is under way: what is on disk stays there. */
  async release(): Promise<void> {
    await this.#spool?.close()
  }

  stats(): Omit<WorkerStats, 'state' | 'inFlight' | 'permitted'> {
    const [oldest] = this.#unsettled
    if (this.#coalescer) this.#watchFilling()
    return {
      queueEvents: this.#capacity.events,
      queueBytes: this.#capacity.bytes,
      oldestAgeMs: oldest ? this.#parts.clock.monotonic() - oldest.offeredAt : 0,
      blockedOffers: this.#capacity.waiting + (this.#spool?.blockedOffers ?? 0),
      coalescing: this.#coalescing,
      backingOff: this.#lanes.waiting,
      ...(this.#spool && { spool: this.#spool.stats() }),
    }
  }

  /** In the largest of its forms that the sink takes; in the smallest if it takes none. */
  #entryOf(event: OutboundEvent, ack: Ack, offeredAt = this.#parts.clock.monotonic()): Entry {
    const { form, bytes } = this.#fit(event)
    const entry = new Entry(event, bytes, offeredAt, ack)
    entry.event = form
    return entry
  }

  #fit(event: OutboundEvent): { readonly form: OutboundEvent; readonly bytes: number } {
    const { sizeOf } = this.#parts.limits
    let form = event
    let bytes = sizeOf(form)
    while (bytes > this.#options.maxEventBytes) {
      const smaller = form.smaller?.()
      if (!smaller) break
      form = smaller
      bytes = sizeOf(form)
    }
    return { form, bytes }
  }

  #offerAtOnce(event: OutboundEvent, ack: Ack, coalescer: Coalescer): void {
    this.#watchFilling()
    const wasFree = this.#capacity.isFree
    if (!this.#coalescing || !coalescer.merge(event, ack)) {
      this.#admit(this.#entryOf(event, ack))
    }
    this.#watchFilling()
    if (this.#capacity.isFilling && !this.#isMerged) {
      this.#isMerged = true
      coalescer.mergeAll(this.#unsettled)
    }
    if (!wasFree) this.#overflow() // else it is one event alone that is as large as the rest of the queue
    this.watchRoom()
  }

  #watchFilling(): void {
    if (this.#parts.sinkState() !== 'open' || this.#capacity.isFilling) this.#coalescing = true
    else if (this.#capacity.isFree) this.#coalescing = false
    if (this.#capacity.isFree) this.#isMerged = false
  }

  /** Another event stands in the place of one that waits. Returns false if it is too large in all of its forms. */
  #put(entry: Entry, event: OutboundEvent): boolean {
    const { form, bytes } = this.#fit(event)
    if (bytes > this.#options.maxEventBytes) return false
    if (form !== event && entry.event === entry.offered) this.#parts.onDegraded()
    this.#capacity.resize(entry.bytes, bytes)
    if (entry.lane) this.#lanes.resize(entry.lane, entry, bytes)
    else this.#fences.resize(entry, bytes)
    entry.offered = event
    entry.event = form
    return true
  }

  /** While a limit is exceeded, drops what waits of the stream that has the largest part of it. */
  #overflow(): void {
    for (let excess = this.#capacity.excess; excess; excess = this.#capacity.excess) {
      const share = largestShare(this.#unsettled, excess)
      if (!share) return
      this.#parts.onOverflow(share.stream, share.entries.length)
      this.#drop(share.entries, { type: 'overflowed' })
    }
  }

  /** Takes out entries that wait, wherever they do. */
  #drop(entries: readonly Entry[], outcome: Outcome): void {
    const out = new Set(entries)
    const matches = (entry: Entry) => out.has(entry)
    const lanes = new Set<Lane>()
    const streams = new Set<string>()
    for (const { lane, offered } of entries) {
      if (lane) lanes.add(lane)
      else streams.add(offered.stream)
    }
    for (const lane of lanes) {
      if (lane.state === 'waiting' && lane.first && matches(lane.first)) this.#endBackOff(lane, lane.first)
    }
    for (const stream of streams) this.#fences.extract(stream, matches)
    this.#lanes.extract(lanes, matches)
    for (const entry of entries) this.settle(entry, outcome)
  }

  #isTooLarge({ bytes }: Entry): boolean {
    return bytes > this.#options.maxEventBytes
  }

  /** It will be given up at once, so no disk needs to keep it. */
  #admitUnwritten(entry: Entry, spool: Spool, signal: AbortSignal): Promise<void> {
    return spool.admitUnwritten(entry.bytes, () => this.#admit(entry), signal)
  }

  /** Whether there is room for it or not. */
  #admit(entry: Entry): void {
    this.#capacity.admit(entry.bytes)
    this.#accept(entry)
  }

  /** There is room for it. */
  #accept(entry: Entry): void {
    this.#unsettled.add(entry)
    if (entry.isItem) this.#items++
    this.#coalescer?.accepted(entry)
    const { maxEventBytes } = this.#options
    if (this.#isTooLarge(entry)) {
      if (this.#coalescer && !entry.offered.supersedes && this.#areLettersStuck()) {
        this.#parts.onOverflow(entry.offered.stream, 1)
        this.settle(entry, { type: 'overflowed' })
        return
      }
      const reason = `${entry.bytes} bytes in its smallest form, the limit is ${maxEventBytes}`
      this.#parts.giveUp(entry, 'too-large', reason)
      return
    }
    if (entry.event !== entry.offered) this.#parts.onDegraded()
    if (entry.offered.supersedes) this.#supersede(entry)
    else this.#fences.offer(entry)
    const lane = entry.lane ?? this.#fences.fenceBefore(entry)?.lane
    if (lane?.state === 'waiting') this.#relieve(lane)
    this.watchRoom() // who sees that there is none will be told when there is
  }

  /** Those alone fill the queue, and no overflow drops them. */
  #areLettersStuck(): boolean {
    const { events, bytes } = this.#options.queue
    return this.#held.events >= events || this.#held.bytes >= bytes
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
    const blocking = itemsAtFault(this.#unsettled, stream, isAtFault)
    if (!blocking) return false
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
    const dropped = [
      ...this.#fences.extract(stream, () => true),
      ...this.#lanes.extract(lanes, (old) => old.superseded),
    ]
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
    this.#giveUpHead(lane, head, `${behind} events waited behind it`)
  }

  /** Nor must it fill a disk: that is given free only up to the oldest event that is not settled. */
  #relieveOldest(): void {
    const [oldest] = this.#unsettled
    const { lane } = oldest ?? {}
    if (!oldest || lane?.state !== 'waiting' || lane.first !== oldest) return
    if (this.#parts.openSince() === undefined || !this.#parts.isAtFault(oldest)) return
    this.#giveUpHead(lane, oldest, 'the spool is full behind it')
  }

  #giveUpHead(lane: Lane, head: Entry, why: string): void {
    lane.shift()
    this.#endBackOff(lane, head)
    this.#parts.giveUp(head, 'lane-full', `${why}; its last error: ${head.error?.message}`)
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

function shareOf({ events, bytes }: QueueOptions, share: number): CapacityLimits {
  return { events: Math.max(1, Math.floor(events * share)), bytes: Math.floor(bytes * share) }
}
