/** For tests: a stream of all that a `HistoryServer` has, to one sink named `audit`. */
import type { SinkWorker } from '../../delivery/worker.ts'
import { Informer } from '../../informer/informer.ts'
import type { ManualClock } from '../../lib/manual-clock.ts'
import { RoutedView } from '../../route/routed-view.ts'
import { Output } from '../output.ts'
import { pastOf } from '../past-of-server.ts'
import { BridgeStream, type BridgeStreamOptions } from '../stream.ts'
import type { HistoryServer } from './history-server.ts'
import { pods, streamName } from './life.ts'

export interface StreamParts extends Pick<BridgeStreamOptions, 'store'> {
  readonly server: HistoryServer
  readonly worker: SinkWorker
  readonly clock: ManualClock
  /** Until then its informer reads. */
  readonly signal: AbortSignal
}

/** What fails is thrown, unless `onError` takes it. */
export function streamToAudit(
  { server, worker, clock, store, signal }: StreamParts,
  more: Partial<Pick<BridgeStreamOptions, 'onChange' | 'onError'>> = {},
): BridgeStream {
  let snapshots = 0
  return new BridgeStream({
    name: streamName,
    cluster: 'c',
    scope: {},
    resync: { everyMs: 0, snapshot: 'off', verify: false },
    required: ['audit'],
    store,
    definition: 'd',
    onStart: () => {},
    outputs: (ended) => [
      new Output({
        routed: RoutedView.whole('audit'),
        worker,
        onSettled: () => {},
        onRepaid: () => {},
        onSnapshot: (snapshot, outcome) => ended('audit', snapshot, outcome),
      }),
    ],
    discover: async () => pods,
    past: () => pastOf(server, 3),
    informer: () => {
      const informer = new Informer(server, { scope: 'whole', clock, onError: () => {} })
      informer.start(signal)
      return informer
    },
    onChange: () => {},
    onSkipped: () => {},
    onVerified: () => {},
    onError: (error) => {
      throw error
    },
    snapshotId: () => String(++snapshots),
    clock,
    random: () => 0.5,
    ...more,
  })
}
