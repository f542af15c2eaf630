"""Templates: what an owner may write, and what a lead's fields may do."""

import pytest

from mail.render import TemplateInvalid, check, render

FIELDS = {"name": "Łucja", "company": "<b>Róża & Syn</b>"}


class TestALetter:
    def test_prints_fields(self) -> None:
        assert render("Dear {{ name }},\n", FIELDS, html=False) == "Dear Łucja,\n"

    def test_filters_and_chooses(self) -> None:
        template = "{% if name == 'Łucja' and city is undefined %}{{ name|upper }}{% else %}no{% endif %}"

        assert render(template, FIELDS, html=False) == "ŁUCJA"

    def test_escapes_fields_in_html_and_only_there(self) -> None:
        assert "&lt;b&gt;" in render("<p>{{ company }}</p>", FIELDS, html=True)
        assert "<b>" in render("{{ company }}", FIELDS, html=False)

    def test_a_template_in_a_field_stays_text(self) -> None:
        assert render("{{ name }}", {"name": "{{ 7*7 }}"}, html=False) == "{{ 7*7 }}"


class TestAMistake:
    def test_a_field_that_a_lead_lacks_is_named(self) -> None:
        with pytest.raises(TemplateInvalid, match="'city' is undefined; this lead's fields are company, name"):
            render("{{ city }}", FIELDS, html=False)

    def test_a_syntax_error_is_told_with_its_line(self) -> None:
        with pytest.raises(TemplateInvalid, match="line 2"):
            check("Dear\n{{ name\n")

    def test_an_unknown_filter_is_told_with_what_there_is(self) -> None:
        with pytest.raises(TemplateInvalid, match="'replace' is none of"):
            check("{{ name|replace('a', 'b') }}")


class TestLeavingTheSandbox:
    @pytest.mark.parametrize(
        "template",
        [
            "{{ ''.__class__.__mro__ }}",
            "{{ name['__class__'] }}",
            "{{ name|attr('__class__') }}",
            "{{ self._TemplateReference__context }}",
            "{{ cycler.__init__.__globals__ }}",
            "{{ lipsum() }}",
            "{% include '/etc/passwd' %}",
            "{% import 'os' as os %}",
            "{% extends 'x' %}",
            "{{ '{0.__class__}'.format(name) }}",
            "{{ '%s' % name }}",
            "{{ name|format(name) }}",
            "{{ name|map(attribute='__class__') }}",
            "{{ [name].pop() }}",
            "{{ {}.items() }}",
            "{{ name[0] }}",
            "{{ super() }}",
            "{% raw %}{{ x }}{% endraw %}{{ name.upper() }}",
            "{% block x %}{% endblock %}",
            "{% call name() %}{% endcall %}",
            "{% filter upper %}x{% endfilter %}",
            "{% with a = name %}{{ a }}{% endwith %}",
            "{% set a = name %}",
            "{{ name is sameas name }}",
            "{{ 2 ** 100000 }}",
            "{{ -name }}",
        ],
    )
    def test_is_refused(self, template: str) -> None:
        with pytest.raises(TemplateInvalid):
            check(template)


class TestNeverEnding:
    @pytest.mark.parametrize(
        "template",
        [
            "{% for i in range(1000000000) %}x{% endfor %}",
            "{% for a in name %}{% for b in name %}x{% endfor %}{% endfor %}",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
            "{{ 'a' * 10 ** 9 }}",
            "{{ name ~ name }}",
            "{% set name = name ~ name %}",
            "{{ name.ljust(1000000000) }}",
            "{{ '%1000000000d' % 1 }}",
            "{{ 'x'|center(1000000000) }}",
        ],
    )
    def test_is_refused_before_it_starts(self, template: str) -> None:
        with pytest.raises(TemplateInvalid):
            check(template)

    def test_a_huge_result_is_cut_short(self) -> None:
        with pytest.raises(TemplateInvalid, match="longer than"):
            render("{{ name }}" * 300, {"name": "x" * 10_000}, html=False)

    @pytest.mark.parametrize(
        "template",
        [
            "{{ " + "(" * 5000 + "name" + ")" * 5000 + " }}",
            "{% if name %}" * 150 + "{% endif %}" * 150,
            "{{ name" + "|upper" * 60 + " }}",
            "{{ name" + "|upper" * 250 + " }}",
            "{{ name" + "|upper" * 5000 + " }}",
            "{{ " + "not " * 5000 + "name }}",
            "{{ name" + " and name" * 5000 + " }}",
        ],
    )
    def test_deep_nesting_is_refused(self, template: str) -> None:
        with pytest.raises(TemplateInvalid, match="nested too deeply"):
            check(template)

    def test_an_endless_template_or_number_is_refused(self) -> None:
        for template in ("x" * 200_001, "{{ " + "9" * 5000 + " }}"):
            with pytest.raises(TemplateInvalid, match="long"):
                check(template)

    def test_filters_on_filters_grow_no_faster_than_the_template(self) -> None:
        result = render("{{ name" + "|e|urlencode" * 15 + " }}", {"name": "&" * 100}, html=False)

        assert len(result) < 20_000
