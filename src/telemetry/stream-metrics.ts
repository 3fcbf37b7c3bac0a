import { Counter, Gauge, type Registry } from 'prom-client'
import type { Clock } from '../lib/clock.ts'

/** What happens on one stream. Every method is quick and never throws: they are called on the data path. */
export interface StreamMetrics {
  /** A change was observed. */
  event(type: 'added' | 'updated' | 'deleted'): void
  /** A whole list is in: as a stream (WatchList), or page by page. */
  listed(way: 'streamed' | 'paged'): void
  /** A list, or a part of one, could not be had. */
  listFailed(): void
  watchStarted(): void
  /** A watch could not be opened. */
  watchFailed(): void
  /** Any of these, and a watch that broke, with this code; it is tried again. */
  failed(code: string): void
  watchEnded(reason: string): void
  bookmark(): void
  recoveredByRelist(count: number): void
  inferredDeletes(count: number): void
  /** A frame that is not newer than what is known of its object. */
  droppedStale(): void
  gap(cause: string): void
  /** To this sink. One at a time: what had begun before and has not ended is void. */
  snapshotBegan(sink: string): void
  snapshotEnded(snapshot: {
    readonly sink: string
    readonly reason: string
    readonly result: 'completed' | 'aborted'
    readonly items: number
  }): void
  /** Objects of which the store did not hold what the server has, although the watch was in order. */
  drift(count: number): void
  /** A scheduled one that was left out, because the one before has not ended. */
  snapshotSkipped(): void
}

/** The metrics of all streams. */
export class StreamFamilies {
  readonly #clock: Clock
  readonly #streams = new Map<string, StreamMetrics>()
  /** When the last list or bookmark came, by stream; in seconds of `clock.monotonic`. */
  readonly #bookmarks = new Map<string, number>()
  readonly #events
  readonly #lists
  readonly #errors
  readonly #watches
  readonly #restarts
  readonly #lastEvent
  readonly #recovered
  readonly #inferred
  readonly #stale
  readonly #gaps
  readonly #snapshots
  readonly #drift
  readonly #running
  readonly #items
  readonly #duration

  constructor(registry: Registry, clock: Clock) {
    this.#clock = clock
    const registers = [registry]
    const counter = <L extends string>(name: string, help: string, ...labels: readonly L[]) =>
      new Counter({ name: `deltawire_${name}`, help, labelNames: ['stream', ...labels] as const, registers })
    const gauge = (name: string, help: string) =>
      new Gauge({ name: `deltawire_${name}`, help, labelNames: ['stream'] as const, registers })

    this.#events = counter('source_events_total', 'Changes that were observed.', 'type')
    this.#lists = counter(
      'source_lists_total',
      'Lists that came, as a stream (WatchList) or page by page, and attempts that failed.',
      'result',
    )
    this.#errors = counter('source_errors_total', 'Lists and watches that have failed, by code.', 'reason')
    this.#watches = counter('source_watches_total', 'Watches, by whether the server has opened them.', 'result')
    this.#restarts = counter('source_watch_restarts_total', 'Watches that have ended, by reason.', 'reason')
    this.#lastEvent = gauge('source_last_event_timestamp_seconds', 'When the last change was observed (Unix time).')
    this.#recovered = counter('events_recovered_by_relist_total', 'Differences that only a relist has shown.')
    this.#inferred = counter('inferred_deletes_total', 'Deletes that no frame of a watch told of.')
    this.#stale = counter('source_stale_frames_total', 'Frames not newer than what was known of their object.')
    this.#gaps = counter('gaps_total', 'Times that versions in between could not be observed.', 'cause')
    this.#snapshots = counter(
      'snapshots_total',
      'Snapshots by how they ended: completed, aborted, or skipped because the one before had not ended.',
      'reason',
      'result',
    )
    this.#drift = counter(
      'reconcile_drift_total',
      'Objects that were not as the server has them, as `resync.verify` found out. Anything but 0 is a fault.',
    )
    this.#running = gauge('snapshot_running', 'Sinks that are being sent a snapshot.')
    this.#items = gauge('snapshot_items', 'Objects in the last complete snapshot.')
    this.#duration = gauge('snapshot_duration_seconds', 'How long the last complete snapshot took.')
    const bookmarks = this.#bookmarks
    new Gauge({
      name: 'deltawire_source_bookmark_age_seconds',
      help: 'Time since the server last said, by a list or a bookmark, how far the stream is; about a minute if all is well.',
      labelNames: ['stream'],
      registers,
      collect() {
        for (const [stream, at] of bookmarks) this.set({ stream }, clock.monotonic() / 1000 - at)
      },
    })
  }

  of(stream: string): StreamMetrics {
    const existing = this.#streams.get(stream)
    if (existing) return existing
    const metrics = this.#create(stream)
    this.#streams.set(stream, metrics)
    return metrics
  }

  #create(stream: string): StreamMetrics {
    const clock = this.#clock
    const lastEvent = this.#lastEvent.labels({ stream })
    const events = {
      added: this.#events.labels({ stream, type: 'added' }),
      updated: this.#events.labels({ stream, type: 'updated' }),
      deleted: this.#events.labels({ stream, type: 'deleted' }),
    }
    // Series that exist from the start: an alert on an increase sees the first one.
    for (const child of Object.values(events)) child.inc(0)
    const lists = {
      streamed: this.#lists.labels({ stream, result: 'streamed' }),
      paged: this.#lists.labels({ stream, result: 'paged' }),
      failed: this.#lists.labels({ stream, result: 'failed' }),
    }
    const watches = {
      opened: this.#watches.labels({ stream, result: 'opened' }),
      failed: this.#watches.labels({ stream, result: 'failed' }),
    }
    for (const child of [...Object.values(lists), ...Object.values(watches)]) child.inc(0)
    for (const cause of ['expired', 'restored', 'overflow']) this.#gaps.inc({ stream, cause }, 0)
    this.#drift.inc({ stream }, 0)
    const heard = () => this.#bookmarks.set(stream, clock.monotonic() / 1000)
    /** When what is being sent to each sink began. */
    const running = new Map<string, number>()
    return {
      event: (type) => {
        events[type].inc()
        lastEvent.set(clock.now().getTime() / 1000)
      },
      listed: (way) => {
        lists[way].inc()
        heard()
      },
      listFailed: () => lists.failed.inc(),
      watchStarted: () => watches.opened.inc(),
      watchFailed: () => watches.failed.inc(),
      failed: (reason) => this.#errors.inc({ stream, reason }),
      watchEnded: (reason) => this.#restarts.inc({ stream, reason }),
      bookmark: heard,
      recoveredByRelist: (count) => this.#recovered.inc({ stream }, count),
      inferredDeletes: (count) => this.#inferred.inc({ stream }, count),
      droppedStale: () => this.#stale.inc({ stream }),
      gap: (cause) => this.#gaps.inc({ stream, cause }),
      snapshotBegan: (sink) => {
        running.set(sink, clock.monotonic())
        this.#running.set({ stream }, running.size)
      },
      snapshotEnded: ({ sink, reason, result, items }) => {
        const began = running.get(sink)
        running.delete(sink)
        this.#running.set({ stream }, running.size)
        this.#snapshots.inc({ stream, reason, result })
        if (result === 'aborted') return
        this.#items.set({ stream }, items)
        if (began !== undefined) this.#duration.set({ stream }, (clock.monotonic() - began) / 1000)
      },
      drift: (count) => this.#drift.inc({ stream }, count),
      snapshotSkipped: () => this.#snapshots.inc({ stream, reason: 'periodic', result: 'skipped' }),
    }
  }
}
