export type { User } from './access.ts'
export type { CallFault, CallMatch } from './faults.ts'
export type { JsonObject } from './json.ts'
export type { StreamedListsMode } from './list-options.ts'
export type { ResourceRequest, Verb } from './request.ts'
export { playScenario, type ScenarioOptions } from './scenario.ts'
export {
  type ObjectInput,
  type ObjectReference,
  Simulator,
  type SimulatorOptions,
  type WriteAs,
} from './simulator.ts'
export type { Failure } from './status.ts'
export type { Watch } from './watch.ts'
