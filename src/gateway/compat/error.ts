/** How the simple API tells of failures. */
export const encodeError = ({ message }: { readonly message: string }): Record<string, unknown> => ({ error: message })
