/** Programs that are built from their Go modules. */
import { spawn } from 'node:child_process'

/** What a component that is built with it needs. */
export const GO = { go: 'Go 1.26 or newer, from go.dev or the package golang' }

/** Runs `go` with these arguments in a folder. Rejects with the last that it said if it fails. */
export async function go(cwd: string, ...args: readonly string[]): Promise<void> {
  const env = { ...process.env, GOWORK: 'off' }
  const child = spawn('go', args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-4000)
  })
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (code !== 0) throw new Error(`go ${args[0]} failed in ${cwd}: ${said}`)
}
