/** Records read as CloudEvents, by the Kafka binding and independently of the encoder. */
import type { Received } from '../../contract-target.ts'
import { decodeStructured } from '../../decode.ts'
import type { BatchRecord } from './record-batch.ts'

export function decodeRecord({ headers, value }: Pick<BatchRecord, 'headers' | 'value'>): Received {
  const type = headers['content-type'] ?? ''
  if (type.startsWith('application/cloudevents+json')) return decodeStructured(value ?? '')
  const attributes: Record<string, unknown> = { datacontenttype: type }
  for (const [name, text] of Object.entries(headers)) {
    if (name.startsWith('ce_')) attributes[name.slice(3)] = name === 'ce_collapsed' ? text === 'true' : text
  }
  return { attributes, data: value ?? undefined }
}
