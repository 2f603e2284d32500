import type { Past } from '../federation/admission.ts'
import type { Proof } from '../federation/policy.ts'
import type { Registry } from '../registry/registry.ts'
import { compareTruths, refuseTruth } from './certificate.ts'
import { openRecordsOf } from './open-record.ts'
import type { Voter } from './quorum.ts'

/** The ground truth moves by certificates only, whoever brings them. */
export function truthProof(
  registry: Pick<Registry, 'federation' | 'claims'>,
  /** Who votes on a dataset. */
  voters: (dataset: string) => readonly Voter[],
  past: Past,
): Proof {
  const federationId = registry.federation
  const open = openRecordsOf(federationId)
  const refuse = refuseTruth(voters)
  return {
    refuse: async ({ key, value, author, hash }) => {
      if (value === null) return undefined
      // [C10] A member never goes back behind what it brought itself; which claim is shown, the comparison decides.
      const current = registry.claims(key).find((claim) => claim.author === author)?.value
      return refuse(key, value, {
        federationId,
        current,
        open,
        past: { ...past, isListed: past.stays(hash) },
      })
    },
    compare: compareTruths,
  }
}
