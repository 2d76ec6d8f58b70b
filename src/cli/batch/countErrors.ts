export interface ErrorCount {
  readonly class: string
  readonly count: number
  /** The message of the first error of this class. */
  readonly example: string
}

/** Counts errors by class, the most frequent first. */
export const countErrors = (
  errors: ReadonlyArray<{ readonly class: string; readonly message: string }>
): ReadonlyArray<ErrorCount> => {
  const counts = new Map<string, ErrorCount>()
  for (const { class: name, message } of errors) {
    const previous = counts.get(name)
    counts.set(name, { class: name, count: (previous?.count ?? 0) + 1, example: previous?.example ?? message })
  }
  return [...counts.values()].sort((a, b) => b.count - a.count)
}
