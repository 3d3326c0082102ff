/* Style sheets, scripts and fixed markup of the report, which the build puts into the binary as they stand in
 * this folder (embed.cmake). Not NUL-terminated. */
#ifndef LAY_REPORTS_HTML_ASSETS_H
#define LAY_REPORTS_HTML_ASSETS_H

#include <stddef.h>

extern const unsigned char lay_asset_analysis_css[], lay_asset_chart_css[], lay_asset_report_css[];
extern const unsigned char lay_asset_samples_js[], lay_asset_report_js[];
extern const unsigned char lay_asset_browser_html[];
extern const size_t lay_asset_analysis_css_size, lay_asset_chart_css_size, lay_asset_report_css_size;
extern const size_t lay_asset_samples_js_size, lay_asset_report_js_size;
extern const size_t lay_asset_browser_html_size;

#endif
