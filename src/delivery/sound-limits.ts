import { structuredSize } from '../events/encode.ts'
import type { OutboundEvent, SinkLimits } from './sink.ts'

/**
 * The limits, with a `sizeOf` that always is a size: where the sink's own throws, or says what is none, it is that of the
 * event as JSON, and `tell` is called with what was wrong. The queue counts with it, so one NaN would spoil it for good.
 */
export function soundLimits(limits: SinkLimits, tell: (problem: string) => void): SinkLimits {
  const sizeOf = (event: OutboundEvent): number => {
    let problem: string
    try {
      const bytes = limits.sizeOf(event)
      if (Number.isFinite(bytes) && bytes >= 0) return bytes
      problem = `limits.sizeOf returned ${typeof bytes === 'number' ? bytes : typeof bytes}`
    } catch (error) {
      problem = `limits.sizeOf threw ${error instanceof Error ? error.name : typeof error}`
    }
    tell(problem)
    return structuredSize(event.attributes, event.data === undefined ? undefined : event.dataBytes)
  }
  return { ...limits, sizeOf }
}
