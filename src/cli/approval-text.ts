import type { z } from 'zod'
import type { approvalViewSchema } from '../api/approval-view.ts'
import { useText } from '../execution/secrets/consent.ts'

type AskingStep = z.output<typeof approvalViewSchema>['steps'][number]

/** What one step asks for, and what it would do with it, on one line. */
export function approvalText(asking: AskingStep): string {
  const { step, tool, image, digest, cmd, env, output, rights, variables, approved } = asking
  const secrets = variables.length === 0 ? [] : [`gives ${variables.join(' ')}`]
  const what = [...asking.datasets.map(useText), ...secrets].join(' and ')
  const to = secrets.length === 0 ? 'with' : 'to'
  const wants = `${step} ${what} ${to} ${tool}, ${image} (${digest})`
  // As JSON, a command cannot pretend to be another line of this.
  const runs = cmd === null ? 'the command of the image' : JSON.stringify(cmd)
  const given = JSON.stringify(env)
  const asks = Object.keys(rights).length === 0 ? '' : ` and ${JSON.stringify(rights)}`
  const before = approved ? ' (approved already)' : ''
  const goes = `its output goes to ${output.dataset} (${output.policy ?? 'not here'})`
  return `${wants}, running ${runs} with ${given}${asks}; ${goes}${before}`
}
