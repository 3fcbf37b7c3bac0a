/** CRC-32C (Castagnoli, reflected 0x82F63B78). `zlib.crc32` is another polynomial. Source: RFC 3720, appendix B.4. */

/** Eight tables of 256: table k says what a byte does that stands k bytes before the end. */
const tables = makeTables()

/** Of `123456789` it is 0xe3069283; of nothing 0. An unsigned 32-bit integer. */
export function crc32c(bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const whole = bytes.length - (bytes.length % 8)
  let crc = -1
  let at = 0
  for (; at < whole; at += 8) {
    const low = crc ^ view.getInt32(at, true)
    const high = view.getInt32(at + 4, true)
    crc =
      entry(t7, low) ^
      entry(t6, low >>> 8) ^
      entry(t5, low >>> 16) ^
      entry(t4, low >>> 24) ^
      entry(t3, high) ^
      entry(t2, high >>> 8) ^
      entry(t1, high >>> 16) ^
      entry(t0, high >>> 24)
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ entry(t0, crc ^ view.getUint8(at))
  return ~crc >>> 0
}

function entry(table: Int32Array, byte: number): number {
  return table[byte & 0xff] as number // a table has 256 entries
}

type Tables = [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array]

function makeTables(): Tables {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    return crc
  })
  const next = (table: Int32Array) => table.map((crc) => (crc >>> 8) ^ entry(first, crc))
  const all = [first]
  while (all.length < 8) all.push(next(all[all.length - 1] as Int32Array))
  return all as Tables
}
