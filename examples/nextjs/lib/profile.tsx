// What is public of a user: a row of the view profiles.
export type Profile = { id: string; first_name: string | null; last_name: string | null; image_url: string | null };

export const columns = 'id, first_name, last_name, image_url';

// Clerk's webhook may be a moment late, so there may be no profile yet.
export function nameOf(profile: Profile | null) {
	return [profile?.first_name, profile?.last_name].filter(Boolean).join(' ') || 'Somebody';
}

export function Avatar({ profile }: { profile: Profile | null }) {
	return profile?.image_url
		? <img className="avatar" src={profile.image_url} alt="" />
		: <span className="avatar" aria-hidden="true">{nameOf(profile)[0]}</span>;
}
