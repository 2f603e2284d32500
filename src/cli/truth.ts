import type { Command } from 'commander'
import { type TruthView, truthSchema, verificationSchema } from '../api/round-views.ts'
import { EXIT } from './exit-codes.ts'
import { type Output, type Pair, shortId } from './output.ts'
import type { Act } from './session.ts'

/** Paths of one kind that are named before the rest is only counted. */
const PATHS_SHOWN = 5

export function truthCommand(dataset: Command, act: Act): void {
  dataset
    .command('truth <name>')
    .description('show what the federation agreed on, who agreed, and who differed where')
    .option('--verify', 'compute it anew from its certificate alone; exit code 9 when it does not hold')
    .action(
      act(async (session, name: string, { verify }: { verify?: boolean }) => {
        const client = await session.connect()
        const path = `/datasets/${encodeURIComponent(name)}/truth`
        if (verify !== true) {
          const truth = await client.get(path, truthSchema)
          session.out.result(truth, () => render(session.out, truth))
          return
        }
        const found = await client.get(`${path}/verification`, verificationSchema)
        session.out.result(found, () => {
          if (!found.ok) return `The truth of ${name} does not hold: ${found.reason ?? 'no reason was given'}`
          return `The truth of ${name} holds: ${found.commit}, signed by ${found.signers.map((each) => each.name).join(', ')}.`
        })
        if (!found.ok) session.exitCode = EXIT.UNTRUSTED
      }),
    )
}

function withoutCertificate({ dataset, commit, policy }: TruthView): string {
  if (policy !== 'shared') {
    const newest = commit === null ? '' : ': this is the newest commit of whoever owns it'
    return `none: nobody votes on a ${policy} dataset${newest}`
  }
  if (commit !== null) return 'none: this is what the dataset was founded with'
  return `none: a round decides, "maoctl round open ${dataset} --step STEP" asks for one`
}

function render(out: Output, truth: TruthView): string {
  const { dataset, commit, height, adopted, round, signers, agreement, contested } = truth
  const pairs: Pair[] = [
    ['dataset', dataset],
    ['truth', commit ?? 'none yet'],
    ['certificates', height === 0 ? withoutCertificate(truth) : String(height)],
    ...(round === undefined ? [] : [['round', round] as Pair]),
    ...(signers.length === 0 ? [] : [['signed by', signers.map(({ name }) => name).join(', ')] as Pair]),
    ...(commit === null ? [] : [['on this node', adopted ? 'yes' : 'not yet'] as Pair]),
    ...(contested.length === 0 ? [] : [['contested', listed(contested)] as Pair]),
  ]
  if (agreement.length === 0) return out.pairs(pairs)
  const rows = agreement.map((member) => [member.name, shortId(member.commit ?? undefined), verdict(member)])
  return `${out.pairs(pairs)}\n\n${out.table(['member', 'ballot', 'agrees'], rows)}`
}

function verdict({ commit, agrees, differences }: TruthView['agreement'][number]): string {
  if (commit === null) return 'no ballot was counted'
  if (agrees) return 'yes'
  const { missing, extra, different } = differences
  const kinds = [
    { word: 'lacks', paths: missing },
    { word: 'has besides', paths: extra },
    { word: 'differs in', paths: different },
  ]
  const told = kinds
    .filter(({ paths }) => paths.length > 0)
    .map(({ word, paths }) => `${word} ${listed(paths)}`)
  return `no: ${told.join('; ')}`
}

function listed(paths: readonly string[]): string {
  const shown = paths.slice(0, PATHS_SHOWN).join(', ')
  return paths.length > PATHS_SHOWN ? `${shown} and ${paths.length - PATHS_SHOWN} more` : shown
}
