import type { ChainVerificationView } from '../api/chain-views.ts'
import { type Output, shortId } from './output.ts'

/** Truths of a long chain that are listed, the last ones. */
const SHOWN = 20

/** What a check of a truth and of all that came before it has found, for people. */
export function verificationText(out: Output, name: string, found: ChainVerificationView): string {
  const { ok, chain, reason = 'no reason was given' } = found
  const signed = found.signers.map((each) => each.name).join(', ')
  const verdict = ok
    ? `The truth of ${name} holds: ${found.commit}, signed by ${signed}.`
    : found.unchecked === true
      ? `There is nothing to check: ${reason}.`
      : `The truth of ${name} does not hold: ${reason}`
  if (chain === undefined) return verdict
  const rows = chain.links.slice(-SHOWN).map(({ height, commit, round, confirmedBy, voters, recomputed }) => {
    const by = confirmedBy.map((each) => each.name).join(', ')
    return [String(height), shortId(commit), round, `${by} (of ${voters})`, recomputed]
  })
  const columns = ['height', 'truth', 'round', 'confirmed by', 'computed anew']
  const listed = rows.length === 0 ? [] : [out.table(columns, rows)]
  const more = chain.links.length > rows.length ? `, the last ${rows.length} are listed` : ''
  const counted = `${chain.checked} of ${chain.height} certificates hold, from the first on${more}; ${chain.records} signed records say who voted when.`
  return [verdict, ...listed, counted].join('\n\n')
}
