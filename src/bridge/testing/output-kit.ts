/** For tests: an output without a stream around it. */
import type { Notable } from '../../reconcile/change.ts'
import { Ledger } from '../../state/ledger.ts'
import { StreamState } from '../../state/stream-state.ts'
import type { Translation } from '../../translate/translate.ts'
import type { Output } from '../output.ts'

/** As one that is owed nothing. */
export function startOutput(output: Output, stream: string): Ledger {
  const { sink } = output
  const state = new StreamState(stream)
  state.apply({ type: 'stream', stream, definition: '', sinks: [{ name: sink, view: '' }] })
  const ledger = new Ledger(state, { required: [sink], keeps: 'ledger' })
  output.start(ledger, { watermark: undefined, skips: 'nothing', debt: undefined })
  return ledger
}

/** As the stream does. */
export async function offerTo(
  output: Output,
  change: Notable,
  translate: (change: Notable) => Translation,
  signal: AbortSignal,
): Promise<void> {
  const form = output.formOf(change)
  output.expect(change)
  if (!form) output.skip(change)
  else if (change.type.startsWith('Snapshot')) await output.send(form, translate(form.change), signal)
  else await output.offer(form, translate(form.change), signal)
}
