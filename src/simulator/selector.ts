import { type LabelSelector, parseLabelSelector } from '../lib/label-selector.ts'
import { badRequest } from './status.ts'
import type { Version } from './table.ts'

/** Says whether a stored object is in what a list or watch asks for. */
export type Selector = (version: Version) => boolean

/** Label selectors, as kubectl has them. Throws a 400 for anything else. */
export function labelSelector(text: string): Selector {
  const matches = parse(text)
  return ({ labels }) => matches({ metadata: { labels } })
}

function parse(text: string): LabelSelector {
  try {
    return parseLabelSelector(text)
  } catch (error) {
    if (error instanceof SyntaxError) throw badRequest(`unable to parse requirement: ${error.message}`)
    throw error
  }
}

const FIELD_REQUIREMENT = /^([^=!,]+)(==|=|!=)([^=!,]*)$/

/**
 * Field selectors: `metadata.name=a,spec.nodeName!=b`. `metadata.name` and `metadata.namespace` always work;
 * the others only where `fields` names them, as on the real server. Throws a 400 for anything else.
 */
export function fieldSelector(text: string, fields: readonly string[], builtIn: boolean): Selector {
  const requirements = text
    .split(',')
    .filter((part) => part !== '')
    .map((part): Selector => {
      const match = FIELD_REQUIREMENT.exec(part)
      if (!match)
        throw badRequest(`invalid selector: ${JSON.stringify(part)}; can't understand ${JSON.stringify(part)}`)
      const [, field = '', operator, wanted] = match
      const fieldOf = fieldValue(field, fields, builtIn)
      return operator === '!=' ? (version) => fieldOf(version) !== wanted : (version) => fieldOf(version) === wanted
    })
  return (version) => requirements.every((requirement) => requirement(version))
}

function fieldValue(field: string, fields: readonly string[], builtIn: boolean): (version: Version) => string {
  if (field === 'metadata.name') return ({ name }) => name
  if (field === 'metadata.namespace') return ({ namespace }) => namespace
  if (fields.includes(field)) return (version) => version.fields[field] ?? ''
  if (builtIn && fields.length > 0) throw badRequest(`field label not supported: ${field}`)
  throw badRequest(
    `${builtIn ? JSON.stringify(field) : `field label not supported: ${field}`}${
      builtIn ? ' is not a known field selector: only "metadata.name", "metadata.namespace"' : ''
    }`,
  )
}
