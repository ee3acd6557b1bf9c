"""The benchmark for people: Markdown tables, and one self-contained page with tables and pictures."""

from mora_pipeline.evaluation.report.data import ReportData
from mora_pipeline.evaluation.report.markdown import markdown_report
from mora_pipeline.evaluation.report.write import report_html, write_report

__all__ = ["ReportData", "markdown_report", "report_html", "write_report"]
