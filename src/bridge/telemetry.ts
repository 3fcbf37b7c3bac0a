/** What the parts of the bridge tell about themselves, as metrics and as one log line per change of state. */
import type { Logger } from 'pino'
import type { DeadLetter, DeadLetterCode } from '../delivery/dead-letters.ts'
import { deliveryErrors } from '../delivery/errors.ts'
import type { DeliveryObserver, SinkState, WorkerStats } from '../delivery/observer.ts'
import type { InformerFault, InformerOptions } from '../informer/index.ts'
import { type KubeObject, type UnreadReason, unreadReason } from '../kube/object.ts'
import { takenFrom } from '../kube/taken.ts'
import type { Change, Snapshot, SnapshotOutcome } from '../reconcile/change.ts'
import type { Verified } from '../reconcile/verifier.ts'
import type { Redact } from '../redact/redact.ts'
import { failureReasons } from '../route/expression.ts'
import type { WhereObserver } from '../route/routed-view.ts'
import type { StateLog } from '../telemetry/log.ts'
import type { DegradedReason, Metrics } from '../telemetry/metrics.ts'
import { tellSpool } from './spool.ts'

export interface Telemetry {
  readonly metrics: Metrics
  readonly logger: Logger
  readonly states: StateLog
}

/** Redaction as the informer's transform, and the informer's voice. */
export function informerOptions(
  stream: string,
  telemetry: Telemetry,
  redact: Redact,
): Pick<InformerOptions<KubeObject>, 'transform' | 'observer' | 'onError'> {
  const { metrics, states } = telemetry
  const counts = metrics.stream(stream)
  const key = `stream ${stream}`
  const healthy = () => states.tell({ key, state: 'healthy', level: 'info', message: 'the stream is healthy' })
  return {
    transform: (object) => {
      const unread = unreadReason(object)
      if (unread) metrics.degraded(degradedReasons[unread])
      const redacted = redact(object)
      metrics.redacted(takenFrom(redacted)?.redacted.length ?? 0)
      return redacted
    },
    observer: {
      listed: (way) => {
        counts.listed(way)
        healthy()
      },
      listFailed: () => counts.listFailed(),
      watchFailed: () => counts.watchFailed(),
      watchStarted: () => {
        counts.watchStarted()
        healthy()
      },
      watchEnded: (reason) => counts.watchEnded(reason),
      bookmark: () => counts.bookmark(),
      recoveredByRelist: (count) => counts.recoveredByRelist(count),
      inferredDeletes: (count) => counts.inferredDeletes(count),
      droppedStale: () => counts.droppedStale(),
    },
    onError: (fault) => informerFault(stream, fault, telemetry),
  }
}

const degradedReasons: Record<UnreadReason, DegradedReason> = {
  size: 'frame-bytes',
  depth: 'depth',
  transform: 'transform',
}

function informerFault(stream: string, fault: InformerFault, { metrics, logger, states }: Telemetry): void {
  switch (fault.type) {
    case 'Stream':
      metrics.stream(stream).failed(fault.error.code)
      streamFailed(stream, fault.error, states)
      return
    case 'Object':
      objectFault(stream, fault, { metrics, logger, states })
      return
    case 'Index':
    case 'Handler':
      metrics.pipelineError('decode')
      logger.error({ stream, error: fault.error }, 'an informer of the bridge has failed')
  }
}

/** One line per kind of error, not per object: a bug in the redaction may meet every object of a stream. */
function objectFault(stream: string, fault: InformerFault & { type: 'Object' }, { metrics, states }: Telemetry): void {
  metrics.pipelineError('transform')
  if (fault.key !== undefined) metrics.degraded(degradedReasons.transform)
  const message =
    fault.key === undefined
      ? 'objects whose names cannot be keys are left out'
      : 'objects could not be redacted: only their identities go on'
  const { error } = fault
  const state = error instanceof Error ? error.name : 'failed'
  states.tell({ key: `objects of stream ${stream}`, state, level: 'error', message, fields: { stream, error } })
}

/** One line when a stream begins to fail, and one when its failure changes. */
export function streamFailed(stream: string, error: unknown, states: StateLog): void {
  const state = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
  const fields = { error: error instanceof Error ? error.message : String(error) }
  const message = 'the stream has failed and is tried again'
  states.tell({ key: `stream ${stream}`, state, level: 'warn', message, fields })
}

const deadLetterCodes: readonly DeadLetterCode[] = [
  ...(Object.keys(deliveryErrors) as (keyof typeof deliveryErrors)[]),
  'lane-full',
]

export function deliveryObserver(sink: string, { metrics, logger, states }: Telemetry): DeliveryObserver {
  const counts = metrics.sink(sink)
  counts.deadLetterReasons(deadLetterCodes)
  return {
    attempt: ({ durationMs }) => counts.attempt({ durationMs }),
    sent: (result) => counts.sent(result),
    retry: ({ code, message: reason }, waits) => {
      counts.retry(code)
      if (waits === 'all') return // `state` tells
      const key = `retries of sink ${sink}: ${code}`
      const fields = { sink, code, reason }
      states.tell({ key, state: 'tried again', level: 'warn', message: 'events are tried again', fields })
    },
    deadLetter: (letter) => {
      counts.deadLetter(letter.code)
      logDeadLetter(letter, states)
    },
    degraded: () => counts.degraded(),
    merged: (events) => counts.merged(events),
    overflowed: (stream, events) => {
      counts.overflowed()
      overflowed(stream, sink, events, states)
    },
    spool: (news) => tellSpool(sink, news, { metrics, logger, states }),
    state: (state) => {
      counts.state(state)
      logSinkState(sink, state, states)
    },
  }
}

function overflowed(stream: string, sink: string, events: number, states: StateLog): void {
  const message =
    'the queue of the sink overflowed: what the stream had waiting was dropped; once there is room, a gap and a full snapshot make up for it'
  const fields = { stream, sink, events }
  states.tell({ key: `debt of sink ${sink} to stream ${stream}`, state: 'owed', level: 'warn', message, fields })
}

/** What overflowed was made up for. */
export function tellRepaid(stream: string, sink: string, { states }: Telemetry): void {
  const message = 'the snapshot that made up for an overflow is complete'
  const fields = { stream, sink }
  states.tell({ key: `debt of sink ${sink} to stream ${stream}`, state: 'paid', level: 'info', message, fields })
}

/** One line per code, not per event: the metric has the number. */
function logDeadLetter({ sink, code, reason, attempts, event }: DeadLetter, states: StateLog): void {
  const { id, type, resource, subject } = event.attributes
  states.tell({
    key: `dead letters of sink ${sink}: ${code}`,
    state: 'given up',
    level: 'error',
    message: 'events are given up and go to the dead letters; this is the first one with this code',
    fields: { sink, code, reason, attempts, stream: event.stream, id, type, resource, subject },
  })
}

function logSinkState(sink: string, state: SinkState, states: StateLog): void {
  const key = `sink ${sink}`
  switch (state.type) {
    case 'open':
      states.tell({ key, state: 'healthy', level: 'info', message: 'the sink is healthy' })
      return
    case 'connecting':
    case 'paused': {
      const message = 'the sink is unavailable: what is for it waits'
      const fields = { reason: state.reason }
      states.tell({ key, state: state.code ?? 'connecting', level: 'warn', message, fields })
      return
    }
    case 'probing':
    case 'closed':
      return
  }
}

/** Counts what a stream yields; `sink`: for it alone. */
export function observeChange(stream: string, change: Change, { metrics, logger }: Telemetry, sink = ''): void {
  const counts = metrics.stream(stream)
  switch (change.type) {
    case 'Added':
      counts.event('added')
      return
    case 'Updated':
      counts.event('updated')
      return
    case 'Deleted':
      counts.event('deleted')
      return
    case 'Gap': {
      const { from, to, cause } = change
      counts.gap(cause)
      if (cause === 'overflow') return // told when it happened
      logger.warn({ stream, from, to, cause }, 'versions in between could not be observed; the differences follow')
      return
    }
    case 'SnapshotBegin':
      counts.snapshotBegan(sink)
      return
    case 'SnapshotAborted': {
      const { reason } = change.snapshot
      counts.snapshotEnded({ sink, reason, result: 'aborted', items: 0 })
      logger.info({ stream, sink, reason, cause: change.cause }, 'a snapshot was aborted')
      return
    }
    case 'Progress':
    case 'SnapshotItem':
    case 'SnapshotEnd': // told by each sink that has it: observeSnapshot
  }
}

const MOST_NAMED = 5

/** Whether the store of a stream is what the server has. */
export function observeVerified(stream: string, verified: Verified, { metrics, logger, states }: Telemetry): void {
  const key = `verification of stream ${stream}`
  switch (verified.type) {
    case 'right':
      states.tell({
        key,
        state: 'right',
        level: 'info',
        message: 'the store is what the API server has',
        fields: { stream },
      })
      return
    case 'unknown': {
      const { error } = verified
      const reason = error instanceof Error ? error.message : String(error)
      const message = 'the store could not be compared with the API server: the scheduled snapshot is left out'
      states.tell({ key, state: reason, level: 'warn', message, fields: { stream, reason } })
      return
    }
    case 'drift': {
      const { found } = verified
      if (found.length === 0) return // told when it was found; it is not mended yet
      metrics.stream(stream).drift(found.length)
      const some = found.slice(0, MOST_NAMED).map(({ what, key: name }) => `${what} ${name}`)
      const message =
        'the store is not what the API server has: a watch has left changes out. They are listed and told now'
      logger.error({ stream, objects: found.length, some }, message)
      return
    }
  }
}

/** How a snapshot ended for one sink. */
export function observeSnapshot(
  stream: string,
  sink: string,
  { reason, mode }: Snapshot,
  outcome: SnapshotOutcome,
  { metrics, logger }: Telemetry,
): void {
  const counts = metrics.stream(stream)
  if (outcome.type === 'completed') {
    counts.snapshotEnded({ sink, reason, result: 'completed', items: outcome.items })
    logger.info({ stream, sink, reason, mode, items: outcome.items }, 'a snapshot is complete')
  } else {
    counts.snapshotEnded({ sink, reason, result: 'aborted', items: 0 })
    const again = mode === 'full' ? '; it is sent again in a minute or two' : ''
    const message = `a snapshot was aborted for this sink${again}`
    logger.warn({ stream, sink, reason, mode, cause: outcome.cause }, message)
  }
}

/** One line when a queue is full and holds up streams, one when that is over. */
export function tellQueue(
  sink: string,
  fields: { readonly blockedOffers: number; readonly queueEvents: number; readonly oldestSeconds: number },
  { states }: Telemetry,
): void {
  const key = `queue of sink ${sink}`
  if (fields.blockedOffers > 0) {
    const message = 'the queue of the sink is full: the streams that lead to it wait, for all their sinks'
    states.tell({ key, state: 'full', level: 'warn', message, fields })
  } else if (states.of(key) === 'full') {
    states.tell({ key, state: 'has room', level: 'info', message: 'the queue of the sink has room again', fields })
  }
}

/** One line per sink that has not taken all yet when the bridge is told to stop. */
export function tellDraining(
  sink: string,
  stats: Pick<WorkerStats, 'state' | 'queueEvents' | 'queueBytes' | 'oldestAgeMs' | 'blockedOffers'> & {
    readonly deadline: string
  },
  { states }: Telemetry,
): void {
  const { state: sinkState, queueEvents: events, queueBytes: bytes, oldestAgeMs, blockedOffers, deadline } = stats
  if (events === 0 && blockedOffers === 0) return
  const fields = {
    sink,
    sinkState,
    events,
    bytes,
    oldestSeconds: Math.round(oldestAgeMs / 1000),
    blockedOffers,
    deadline,
  }
  states.tell({
    key: `queue of sink ${sink} at the end`,
    state: 'draining',
    level: 'info',
    message: 'draining',
    fields,
  })
}

/** Counts what the routes' expressions do, and says once per route and reason that one cannot tell. */
export function whereObserver({ metrics, states }: Telemetry, now: () => number): WhereObserver {
  return {
    now,
    evaluated: (route, durationMs, failure) => {
      metrics.routes.evaluated(route, durationMs, failure)
      if (failure === undefined) return
      const key = `where of route ${route}: ${failure}`
      const message =
        'where cannot tell of some objects: they are no members; ask with has() or .? for what may be missing'
      const fields = { route, reason: failureReasons[failure] }
      states.tell({ key, state: 'fails', level: 'warn', message, fields })
    },
  }
}
