/**
 * A Lambda function that is told of pod changes and says which containers came into trouble: one line of JSON for each
 * that entered CrashLoopBackOff or was killed for its memory. CloudWatch has the line; to send it elsewhere, do so where
 * it is logged. README.md says how it is deployed, template.yaml which events reach it.
 */
import { type CloudEventAttributes, eventTypes, type ObjectData } from 'deltawire/events'

/** What EventBridge hands to a function. Its own `id` and `time` are about the hand-over; those of `detail` are about the pod. */
export interface EventBridgeEvent {
  readonly id: string
  readonly 'detail-type': string
  readonly source: string
  /** The CloudEvent in structured form: its attributes, and its data beside them. */
  readonly detail: ObjectEvent
}

/** Of the attributes of an object event, those that are read here. docs/events.md has them all. */
export type ObjectEvent = Pick<CloudEventAttributes, 'id' | 'source' | 'type' | 'time' | 'subject'> & {
  readonly uid: string
  readonly cluster: string
  /** Versions before this one were not seen. */
  readonly collapsed?: boolean
  /** The object did not fit: only a part of it is here. */
  readonly degraded?: string
  readonly data: ObjectData
}

export interface Alert {
  /** The same for the same trouble, also when it is found in two events, or twice by two instances of this function. */
  readonly id: string
  readonly reason: 'CrashLoopBackOff' | 'OOMKilled'
  readonly cluster: string
  readonly pod: string
  readonly container: string
  readonly restarts: number
  readonly time: string
}

/**
 * EventBridge and Lambda deliver at least once, in no order. What this instance has done it does not do again; another
 * instance may, and says an alert with the same id. Throws for an event that it cannot read: Lambda then tries twice more,
 * and the event ends in the dead letters.
 */
export async function handler({ detail }: EventBridgeEvent): Promise<readonly Alert[]> {
  const { source, id, type } = detail
  // an item of a snapshot is no change, and a deleted pod is in no trouble
  if (type !== eventTypes.added && type !== eventTypes.updated) return []
  const key = `${source} ${id}`
  if (done.has(key)) return []
  const alerts = alertsOf(detail)
  for (const alert of alerts) console.log(JSON.stringify(alert))
  remember(key)
  return alerts
}

/** What is wrong now and was not in the state that was seen before. */
export function alertsOf({ data, cluster, subject = '', uid, time, degraded }: ObjectEvent): readonly Alert[] {
  if (degraded === 'metadata' || degraded === 'reference')
    throw new Error(`${subject}: the event has no status, because the pod is too large for EventBridge`)
  const before = new Map(containersOf(data.previous).map((container) => [container.name, container]))
  return containersOf(data.object).flatMap((container) => {
    const { name, restartCount: restarts } = container
    const known = before.get(name)
    const alert = { cluster, pod: subject, container: name, restarts, time }
    const alerts: Alert[] = []
    for (const kill of killsOf(container)) {
      const isNew = !known || !killsOf(known).includes(kill)
      if (isNew) alerts.push({ id: `${uid}/${name}/${kill}/OOMKilled`, reason: 'OOMKilled', ...alert })
    }
    // with `collapsed` it may have run in between: then it has restarted
    const wasBackingOff = known && isBackingOff(known) && known.restartCount === restarts
    if (isBackingOff(container) && !wasBackingOff)
      alerts.push({ id: `${uid}/${name}/${restarts}/CrashLoopBackOff`, reason: 'CrashLoopBackOff', ...alert })
    return alerts
  })
}

/** Of a status of the Kubernetes API (ContainerStatus, v1), what is read here. */
interface Container {
  readonly name: string
  readonly restartCount: number
  readonly state?: ContainerState
  readonly lastState?: ContainerState
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string }
  readonly terminated?: { readonly reason?: string; readonly containerID?: string; readonly finishedAt?: string }
}

interface PodStatus {
  readonly containerStatuses?: readonly Container[]
  readonly initContainerStatuses?: readonly Container[]
}

function containersOf(pod: ObjectData['object'] | undefined): readonly Container[] {
  const { initContainerStatuses = [], containerStatuses = [] } = (pod?.status ?? {}) as PodStatus
  return [...initContainerStatuses, ...containerStatuses]
}

function isBackingOff({ state }: Container): boolean {
  return state?.waiting?.reason === 'CrashLoopBackOff'
}

/** Which runs of the container were killed for their memory: the present one, and the one before. */
function killsOf({ state, lastState }: Container): readonly string[] {
  const ended = [state?.terminated, lastState?.terminated].filter((run) => run?.reason === 'OOMKilled')
  return ended.map((run) => run?.containerID ?? run?.finishedAt ?? '')
}

const done = new Set<string>()
const MOST_REMEMBERED = 10_000

function remember(key: string): void {
  done.add(key)
  const [oldest] = done
  if (done.size > MOST_REMEMBERED && oldest !== undefined) done.delete(oldest)
}
