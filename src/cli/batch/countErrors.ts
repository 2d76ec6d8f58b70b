/** Errors by class, the most frequent first. */
export interface ErrorCount {
  readonly class: string
  readonly count: number
  /** What the first of them said. */
  readonly example: string
}

export const countErrors = (
  errors: ReadonlyArray<{ readonly class: string; readonly message: string }>
): ReadonlyArray<ErrorCount> => {
  const found = new Map<string, ErrorCount>()
  for (const { class: name, message } of errors) {
    const known = found.get(name)
    found.set(name, { class: name, count: (known?.count ?? 0) + 1, example: known?.example ?? message })
  }
  return [...found.values()].sort((a, b) => b.count - a.count)
}
