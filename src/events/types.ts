/** The names that consumers match on. A breaking change gets a new name (`.v2`); these strings never change. */

/** The `type` attribute of every CloudEvent that Deltawire sends. */
export const eventTypes = {
  added: 'io.deltawire.object.added.v1',
  updated: 'io.deltawire.object.updated.v1',
  deleted: 'io.deltawire.object.deleted.v1',
  snapshotBegin: 'io.deltawire.snapshot.begin.v1',
  snapshotItem: 'io.deltawire.snapshot.item.v1',
  snapshotEnd: 'io.deltawire.snapshot.end.v1',
  snapshotAborted: 'io.deltawire.snapshot.aborted.v1',
  gap: 'io.deltawire.stream.gap.v1',
} as const
export type EventName = keyof typeof eventTypes
export type EventType = (typeof eventTypes)[EventName]

/** The `dataschema` attribute: one URN per shape of `data`. */
export const dataSchemas = {
  object: 'urn:deltawire:schema:object:v1',
  metadata: 'urn:deltawire:schema:metadata:v1',
  reference: 'urn:deltawire:schema:reference:v1',
  bare: 'urn:deltawire:schema:bare:v1',
  snapshot: 'urn:deltawire:schema:snapshot:v1',
  gap: 'urn:deltawire:schema:gap:v1',
} as const
export type DataShape = keyof typeof dataSchemas
export type DataSchema = (typeof dataSchemas)[DataShape]
