/** Effect 4 makes generators of the schemas alone. */
export const jsonObject = {}

export const objectsByName = {}

export const textsByName = {}

export const biasesByName = {}

export const mediaUrl = {}

export const tokens = {}

export const durationInMillis = {}

export const changed = <A>(_change: (generated: A) => A) => ({})
