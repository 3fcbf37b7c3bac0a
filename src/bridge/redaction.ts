import { readFile } from 'node:fs/promises'
import type { BridgeConfig } from '../config/bridge-config.ts'
import { parsePath } from '../redact/path.ts'
import { createRedaction, type Redact } from '../redact/redact.ts'

/** A shorter key could be guessed from digests of known values. */
const MIN_KEY_BYTES = 16

/** The redaction that the configuration describes. Rejects, naming the file, if its key cannot be used. */
export async function loadRedaction({ paths, env, key }: BridgeConfig['redaction']): Promise<Redact> {
  const options = { paths: paths.map(parsePath), env }
  return createRedaction(key === 'none' ? options : { ...options, key: await readKey(key.file) })
}

async function readKey(file: string): Promise<Buffer> {
  const key = await readFile(file).catch((error: unknown) => {
    const reason = error instanceof Error && 'code' in error ? error.code : error
    throw new Error(`redaction.key: file ${file} cannot be read (${String(reason)}): mount it, or set the key to none`)
  })
  if (key.length >= MIN_KEY_BYTES) return key
  throw new Error(`redaction.key: file ${file} holds ${key.length} bytes; write at least ${MIN_KEY_BYTES} random ones`)
}
