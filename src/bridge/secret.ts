import { readFile } from 'node:fs/promises'
import type { SecretReference } from '../delivery/sink.ts'

/** Variables of the process, given by its edge. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The present value of a credential; a file is read again at each call, so that a rotated one is used. Rejects with an
 * Error that names the reference and the way out, never the value.
 */
export async function readSecret(reference: SecretReference, env: Environment): Promise<string> {
  if ('env' in reference) {
    const value = env[reference.env]
    if (value) return value
    throw new Error(`environment variable ${reference.env} is not set: set it where Deltawire is started`)
  }
  try {
    // editors and kubectl end a file with a newline that is no part of the credential
    return (await readFile(reference.file, 'utf8')).replace(/\r?\n$/, '')
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? error.code : error
    throw new Error(
      `credential file ${reference.file} cannot be read (${String(reason)}): mount it, or correct the path`,
    )
  }
}
