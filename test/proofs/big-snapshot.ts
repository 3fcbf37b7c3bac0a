import { type BigSnapshotResult, judge, measureBigSnapshot, origins } from '../e2e/support/big-snapshot.ts'

export const description =
  'Full snapshots of 100,000 objects under 200 updates/s: time, ages of live events, memory. [OBJECTS] [UPDATES_PER_S] [SNAPSHOTS] [store|pages] [PROFILE_FOLDER]'

export async function prove([objects, updatesPerSecond, snapshots, from, profile]: readonly string[]): Promise<void> {
  const origin = origins.find((one) => one === (from ?? 'store'))
  if (!origin) throw new Error(`one of ${origins.join(', ')} is to be named, not ${from}`)
  const result = await measureBigSnapshot({
    objects: Number(objects ?? 100_000),
    updatesPerSecond: Number(updatesPerSecond ?? 200),
    snapshots: Number(snapshots ?? 3),
    secondsAlone: 30,
    from: origin,
    seed: Math.floor(Math.random() * 1e6),
    profile,
  })
  console.log(JSON.stringify(result))
  console.table(tableOf(result))
  judge(result)
}

function tableOf({ without, during }: BigSnapshotResult): object {
  const row = ({ events, age, ageSinceAnswer, write, bridge }: BigSnapshotResult['without']) => ({
    events,
    'age p50': age.p50,
    p99: age.p99,
    'since answer p50': ageSinceAnswer.p50,
    'p99 ': ageSinceAnswer.p99,
    'write p99': write.p99,
    ...bridge,
  })
  return { 'without a snapshot': row(without), 'during one': row(during) }
}
