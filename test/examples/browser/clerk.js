/*
 * clerk.js
 *		A stub of as much of Clerk's script as the page uses, with the tokens of the test.
 *		signInAs() stands for Clerk's sign-in form.
 */
{
	let tokens;
	const listeners = [];
	const tell = () => listeners.forEach((listener) => listener(Clerk));
	const become = (person, organization = '') => {
		Clerk.user = person ? { id: `user_${person}` } : null;
		Clerk.session = person ? { getToken: async () => tokens[person][organization], person } : null;
		tell();
	};

	window.Clerk = {
		user: null,
		session: null,
		load: async () => (tokens = await (await fetch('tokens.json')).json()),
		addListener: (listener) => listener(Clerk, listeners.push(listener)),
		signInAs: (person) => become(person),
		setActive: async ({ organization }) => become(Clerk.session.person, organization),
		signOut: async () => become(null),
	};
}
