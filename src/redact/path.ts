/**
 * A place in objects as configuration spells it: `spec.users[*].password`, `data["tls.key"]`, `data.*`.
 * `*` stands for every member, `[*]` for every element.
 */
export type Path = readonly Step[]
export type Step = { readonly type: 'member'; readonly name: string } | { readonly type: 'every' }

const STEP = /(?:^|\.)([A-Za-z0-9_$-]+|\*)|\[(?:(\*)|(\d+)|"((?:[^"\\]|\\.)*)")\]/gy

/** Parses a path. Throws a RangeError that names the text and the column that is wrong. */
export function parsePath(text: string): Path {
  const steps: Step[] = []
  let position = 0
  while (position < text.length) {
    STEP.lastIndex = position
    const match = STEP.exec(text)
    if (!match || (position === 0 && text.startsWith('.'))) break
    const [whole, member, star, index, quoted] = match
    if (member === '*' || star) steps.push({ type: 'every' })
    else steps.push({ type: 'member', name: member ?? index ?? JSON.parse(`"${quoted}"`) })
    position += whole.length
  }
  if (position < text.length || steps.length === 0) {
    throw new RangeError(
      `not a path: ${JSON.stringify(text)}, at column ${position + 1}; write it as spec.users[*].password`,
    )
  }
  return steps
}
