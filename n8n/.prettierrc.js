module.exports = {
	arrowParens: 'always',
	printWidth: 120,
	singleQuote: true,
	trailingComma: 'all',
	useTabs: true,
};
