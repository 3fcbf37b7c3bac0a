/** `deltawire/informer`: list, watch and cache objects of a Kubernetes API server. Start at `SharedInformerFactory`. */
export { asRemembered, isRemembered, type UnreadReason, unreadReason } from '../kube/object.ts'
export { everything, type LabelSelector, parseLabelSelector } from '../lib/label-selector.ts'
export type { Delta, GapCause, Seen, Tombstone } from './delta.ts'
export type { DeltaReader } from './delta-reader.ts'
export type { Scope } from './delta-source.ts'
export {
  filteringHandler,
  type Handler,
  type HandlerOptions,
  isTombstone,
  keyOf,
  type Registration,
} from './handlers.ts'
export type { Indexer, IndexFunction } from './indexer.ts'
export { Informer, type InformerOptions, type InformerStart, informerDefaults, type StreamStatus } from './informer.ts'
export type { Lister } from './lister.ts'
export { type InformerFault, type ListWay, type StreamObserver, silentObserver, type WatchEnd } from './observer.ts'
export {
  type CacheSync,
  type FactoryOptions,
  type ListWatchFor,
  SharedInformerFactory,
  type StreamSelection,
} from './shared-informer-factory.ts'
