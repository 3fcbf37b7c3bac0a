/** Which partition a key belongs to: the same as for the producers of the Java client, so that topics can be joined. */

/** Among `partitions` of them. Depends on the key and their number alone. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fff_ffff) % partitions
}

const M = 0x5bd1_e995

/** Murmur2 in 32 bits with the seed of the Java client, as a signed integer. */
export function murmur2(bytes: Buffer): number {
  const whole = bytes.length & ~3
  let hash = 0x9747_b28c ^ bytes.length
  for (let at = 0; at < whole; at += 4) {
    const word = Math.imul(bytes.readInt32LE(at), M)
    hash = Math.imul(hash, M) ^ Math.imul(word ^ (word >>> 24), M)
  }
  if (whole < bytes.length) {
    for (let at = bytes.length - 1; at >= whole; at--) hash ^= (bytes[at] ?? 0) << (8 * (at - whole))
    hash = Math.imul(hash, M)
  }
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}
