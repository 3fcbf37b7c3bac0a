/** The built-in types of sinks. Each is loaded when a configuration names it: who does not use one never pays for it. */
export const sinkTypes = {
  eventbridge: () => import('./eventbridge/index.ts'),
  kafka: () => import('./kafka/index.ts'),
  stdout: () => import('./stdout/index.ts'),
  webhook: () => import('./webhook/index.ts'),
} as const
