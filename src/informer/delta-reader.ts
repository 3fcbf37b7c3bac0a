import type { KubeObject } from '../kube/object.ts'
import type { Delta } from './delta.ts'

/**
 * Pulls the deltas of an informer. Pulling is what makes the informer go on: the store is written in `take`, never
 * ahead of it, and nobody taking means that, once the queue is full, the watch is not read any more.
 *
 * Several readers of one informer move in lockstep: a new batch is taken from the queue only when every reader has
 * taken the last one. A reader that comes late first gets the store, as `Added` deltas and a `Progress`: no gap, no
 * duplicate. Iterating yields what `take` returns and ends after the signal given to `deltas()` aborts or the informer
 * is stopped and its queue is drained.
 */
export interface DeltaReader<T extends KubeObject = KubeObject> extends AsyncIterable<readonly Delta<T>[]>, Disposable {
  /**
   * Resolves when there is something to take. Rejects with `signal.reason`, and with the reason of its end if the
   * reader is closed or the informer stopped.
   */
  ready(signal: AbortSignal): Promise<void>
  /**
   * Applies the next batch (at most 1000 entries) to the store and returns its deltas; `[]` if there is none, or if all
   * that waited was stale. Synchronous: between two takes of a sole reader the store stands exactly at the position of
   * the last delta taken. The differences found by one list may come in several takes: the store holds the whole list
   * from the first on, all carry the list's position, and a `Progress` ends them.
   */
  take(): readonly Delta<T>[]
  /**
   * False while something that the store already holds waits for this reader: then `take` does not return `[]`. False also
   * once the reader is closed, because the store goes on without it.
   */
  readonly inStep: boolean
}
