import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../lib/manual-clock.ts'
import { Metrics } from './metrics.ts'

const clock = () => new ManualClock('2026-01-01T00:00:00Z')

/** The samples whose name begins with `deltawire_` and that, as `name{labels} value`. */
async function samples(metrics: Metrics, prefix: string): Promise<readonly string[]> {
  const lines = (await metrics.text()).split('\n')
  return lines.filter((line) => line.startsWith(`deltawire_${prefix}`)).map((line) => line.slice('deltawire_'.length))
}

test('a stream counts what it observes, and has its series from the start', async () => {
  const metrics = new Metrics({ clock: clock(), version: '1.2.3' })
  const pods = metrics.stream('workloads/pods')
  assert.deepEqual(await samples(metrics, 'source_events'), [
    'source_events_total{stream="workloads/pods",type="added"} 0',
    'source_events_total{stream="workloads/pods",type="updated"} 0',
    'source_events_total{stream="workloads/pods",type="deleted"} 0',
  ])
  pods.event('added')
  pods.event('updated')
  pods.event('updated')
  pods.listed('streamed')
  pods.listFailed()
  pods.watchFailed()
  pods.failed('forbidden')
  pods.watchStarted()
  pods.watchEnded('reset')
  pods.recoveredByRelist(3)
  pods.inferredDeletes(2)
  pods.droppedStale()
  pods.gap('expired')
  assert.deepEqual(
    (await samples(metrics, '')).filter((line) => line.includes('workloads/pods') && !line.endsWith(' 0')),
    [
      'source_events_total{stream="workloads/pods",type="added"} 1',
      'source_events_total{stream="workloads/pods",type="updated"} 2',
      'source_lists_total{stream="workloads/pods",result="streamed"} 1',
      'source_lists_total{stream="workloads/pods",result="failed"} 1',
      'source_errors_total{stream="workloads/pods",reason="forbidden"} 1',
      'source_watches_total{stream="workloads/pods",result="opened"} 1',
      'source_watches_total{stream="workloads/pods",result="failed"} 1',
      'source_watch_restarts_total{stream="workloads/pods",reason="reset"} 1',
      'source_last_event_timestamp_seconds{stream="workloads/pods"} 1767225600',
      'events_recovered_by_relist_total{stream="workloads/pods"} 3',
      'inferred_deletes_total{stream="workloads/pods"} 2',
      'source_stale_frames_total{stream="workloads/pods"} 1',
      'gaps_total{stream="workloads/pods",cause="expired"} 1',
    ],
  )
})

test('the age of a bookmark counts from the list, and grows until the next one', async () => {
  const time = clock()
  const metrics = new Metrics({ clock: time, version: '1' })
  const stream = metrics.stream('a/pods')
  assert.deepEqual(await samples(metrics, 'source_bookmark'), [])
  stream.listed('paged')
  await time.advance(90_000)
  assert.deepEqual(await samples(metrics, 'source_bookmark'), ['source_bookmark_age_seconds{stream="a/pods"} 90'])
  stream.bookmark()
  assert.deepEqual(await samples(metrics, 'source_bookmark'), ['source_bookmark_age_seconds{stream="a/pods"} 0'])
})

test('a snapshot has its items and duration once it is complete; an aborted one only its result', async () => {
  const time = clock()
  const metrics = new Metrics({ clock: time, version: '1' })
  const stream = metrics.stream('a/pods')
  stream.snapshotBegan('audit')
  await time.advance(1500)
  for (const sink of ['lambdas', 'lambdas']) stream.snapshotBegan(sink)
  assert.deepEqual(await samples(metrics, 'snapshot'), ['snapshot_running{stream="a/pods"} 2'])
  await time.advance(1000)
  stream.snapshotEnded({ sink: 'audit', reason: 'startup', result: 'completed', items: 42 })
  stream.snapshotEnded({ sink: 'lambdas', reason: 'periodic', result: 'aborted', items: 7 })
  stream.snapshotSkipped()
  assert.deepEqual(await samples(metrics, 'snapshot'), [
    'snapshots_total{stream="a/pods",reason="startup",result="completed"} 1',
    'snapshots_total{stream="a/pods",reason="periodic",result="aborted"} 1',
    'snapshots_total{stream="a/pods",reason="periodic",result="skipped"} 1',
    'snapshot_running{stream="a/pods"} 0',
    'snapshot_items{stream="a/pods"} 42',
    'snapshot_duration_seconds{stream="a/pods"} 2.5',
  ])
})

test('a sink counts attempts and fates, and its gauges are read when asked for', async () => {
  const metrics = new Metrics({ clock: clock(), version: '1' })
  const sink = metrics.sink('audit')
  let queueEvents = 1
  sink.observe(() => ({
    queueEvents,
    queueBytes: 2048,
    oldestAgeMs: 1500,
    blockedOffers: 0,
    inFlight: 3,
    permitted: 8,
  }))
  sink.attempt({ durationMs: 20 })
  sink.sent('delivered')
  sink.sent('timeout')
  sink.retry('timeout')
  sink.deadLetter('rejected')
  sink.degraded()
  sink.delivered(40)
  sink.state({ type: 'paused' })
  queueEvents = 9
  assert.deepEqual(
    (await samples(metrics, '')).filter((line) => !/_bucket|build_info| 0$/.test(line)),
    [
      'delivery_latency_seconds_sum{sink="audit"} 0.04',
      'delivery_latency_seconds_count{sink="audit"} 1',
      'sink_send_duration_seconds_sum{sink="audit"} 0.02',
      'sink_send_duration_seconds_count{sink="audit"} 1',
      'sink_sent_total{sink="audit",result="delivered"} 1',
      'sink_sent_total{sink="audit",result="timeout"} 1',
      'sink_retries_total{sink="audit",reason="timeout"} 1',
      'dead_letters_total{sink="audit",reason="rejected"} 1',
      'sink_circuit_state{sink="audit"} 2',
      'sink_queue_events{sink="audit"} 9',
      'sink_queue_bytes{sink="audit"} 2048',
      'sink_queue_oldest_age_seconds{sink="audit"} 1.5',
      'sink_inflight{sink="audit"} 3',
      'sink_concurrency{sink="audit"} 8',
      'degraded_events_total{reason="sink-limit"} 1',
    ],
  )
})

test('how far a sink has a stream is read when asked for, for each pair of them', async () => {
  const metrics = new Metrics({ clock: clock(), version: '1' })
  let lagEvents = 0
  metrics.observeOutput('a/pods', 'audit', () => ({ lagEvents, oldestAgeMs: lagEvents * 100 }))
  metrics.observeOutput('a/pods', 'hook', () => ({ lagEvents: 0, oldestAgeMs: 0 }))
  lagEvents = 25
  assert.deepEqual(
    [...(await samples(metrics, 'oldest_unack')), ...(await samples(metrics, 'watermark'))],
    [
      'oldest_unacknowledged_seconds{stream="a/pods",sink="audit"} 2.5',
      'oldest_unacknowledged_seconds{stream="a/pods",sink="hook"} 0',
      'watermark_lag_events{stream="a/pods",sink="audit"} 25',
      'watermark_lag_events{stream="a/pods",sink="hook"} 0',
    ],
  )
})

test('the same name gives the same metrics, and two instances share nothing', async () => {
  const first = new Metrics({ clock: clock(), version: '1' })
  const second = new Metrics({ clock: clock(), version: '1' })
  assert.equal(first.stream('a'), first.stream('a'))
  assert.equal(first.sink('a'), first.sink('a'))
  first.pipelineError('transform')
  first.redacted(5)
  assert.deepEqual(await samples(first, 'pipeline_errors'), ['pipeline_errors_total{stage="transform"} 1'])
  assert.deepEqual(await samples(first, 'redacted'), ['redacted_fields_total 5'])
  assert.deepEqual(await samples(second, 'pipeline_errors'), [])
})

test('what runs is said, and the process only where it is asked for', async () => {
  const metrics = new Metrics({ clock: clock(), version: '1.2.3' })
  assert.deepEqual(await samples(metrics, 'build_info'), ['build_info{version="1.2.3"} 1'])
  assert.equal((await metrics.text()).includes('process_resident_memory_bytes'), false)
  const text = await new Metrics({ clock: clock(), version: '1', include: 'process' }).text()
  for (const name of [
    'process_resident_memory_bytes',
    'process_cpu_seconds_total',
    'nodejs_eventloop_lag_p99_seconds',
  ]) {
    assert.match(text, new RegExp(`^${name} `, 'm'))
  }
})

test('P7 no label names a namespace, an object or a uid, and every metric has a help text', async () => {
  const metrics = new Metrics({ clock: clock(), version: '1' })
  metrics.stream('a')
  metrics.sink('b')
  const text = await metrics.text()
  const labels = new Set([...text.matchAll(/[{,]([a-z]+)="/g)].map(([, label]) => label))
  assert.deepEqual([...labels].sort(), ['cause', 'result', 'sink', 'stream', 'type', 'version'])
  for (const [, name] of text.matchAll(/^# TYPE (\S+)/gm)) {
    assert.match(text, new RegExp(`^# HELP ${name} \\S.*\\.$`, 'm'))
    assert.match(name ?? '', /^deltawire_[a-z_]+$/)
  }
})
