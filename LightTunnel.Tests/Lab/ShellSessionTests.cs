using System.Diagnostics;
using System.Text.Json;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

public sealed class ShellSessionTests
{
    private static readonly string[] PositionalArguments = ["first", "second"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task InvokeAsync_Objects_ArriveInOrderWithTheirTypesAndProperties()
    {
        await using ShellSession shell = await ShellSession.StartAsync(cancellationToken: Token);

        ShellResult result = await shell.InvokeAsync(
            "1; 'two'; [pscustomobject]@{ Name = 'three'; Span = [timespan]::FromMilliseconds(20); Day = [DayOfWeek]::Monday; "
                + "Items = 1, 2 }", cancellationToken: Token);

        Assert.Equal(3, result.Output.Count);
        Assert.Equal(1, result.Output[0].Value.GetInt32());
        Assert.Equal("System.String", result.Output[1].Types[0]);
        Assert.Equal("three", result.Output[2].Text("Name"));
        Assert.Equal(TimeSpan.FromMilliseconds(20), TimeSpan.Parse(result.Output[2].Text("Span")!, null));
        Assert.Equal("Monday", result.Output[2].Text("Day"));
        Assert.Equal([1, 2], result.Output[2]["Items"].EnumerateArray().Select(item => item.GetInt32()));
    }

    [Fact]
    public async Task InvokeAsync_Arguments_ReachTheScriptByNameAndByPosition()
    {
        await using ShellSession shell = await ShellSession.StartAsync(cancellationToken: Token);

        ShellResult named = await shell.InvokeAsync("param($Text, $Count, $Table) \"$Text $($Count + 1) $($Table.Key)\"",
            new { Text = "a 'quoted' \"text\" ✓", Count = 41, Table = new { Key = "value" } }, cancellationToken: Token);
        ShellResult positional = await shell.InvokeAsync("param($A, $B) $B; $A", PositionalArguments, cancellationToken: Token);

        Assert.Equal("a 'quoted' \"text\" ✓ 42 value", named.Single().ToString());
        Assert.Equal(["second", "first"], positional.Output.Select(item => item.ToString()));
    }

    [Fact]
    public async Task TryInvokeAsync_Errors_CarryIdCategoryAndRemedy()
    {
        await using ShellSession shell = await ShellSession.StartAsync(cancellationToken: Token);

        ShellResult result = await shell.TryInvokeAsync("""
            $record = [Management.Automation.ErrorRecord]::new([Exception]::new('It broke.'), 'Broken', 'DeviceError', 'the target')
            $record.ErrorDetails = [Management.Automation.ErrorDetails]::new('It broke badly.')
            $record.ErrorDetails.RecommendedAction = 'Mend it.'
            function Test-Thing { [CmdletBinding()] param() $PSCmdlet.WriteError($record); 'goes on'; throw 'the end' }
            Test-Thing
            """, render: true, cancellationToken: Token);

        Assert.Equal(ShellState.Failed, result.State);
        Assert.Equal("goes on", result.Single().ToString());
        Assert.Equal(2, result.Errors.Count);
        ShellError error = result.Errors[0];
        Assert.Equal("Broken,Test-Thing", error.ErrorId);
        Assert.Equal("DeviceError", error.Category);
        Assert.Equal("It broke badly.", error.Message);
        Assert.Equal("Mend it.", error.RecommendedAction);
        Assert.Equal("the target", error.Target);
        Assert.False(error.IsTerminating);
        Assert.True(result.Errors[1].IsTerminating);
        Assert.Contains("Mend it.", result.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task InvokeAsync_Error_Throws()
    {
        await using ShellSession shell = await ShellSession.StartAsync(cancellationToken: Token);

        ShellScriptException exception =
            await Assert.ThrowsAsync<ShellScriptException>(() => shell.InvokeAsync("Get-Unheard", cancellationToken: Token));

        Assert.Equal("CommandNotFoundException", exception.Result.Errors.Single().ErrorId);
    }

    [Fact]
    public async Task TryInvokeAsync_Render_ShowsViewsAsPlainTextOfTheWidth()
    {
        await using ShellSession shell = await ShellSession.StartAsync(new ShellOptions { Width = 40 }, Token);

        ShellResult result = await shell.TryInvokeAsync(
            "[pscustomobject]@{ Name = 'x' * 60; Other = 1 }", render: true, cancellationToken: Token);

        Assert.DoesNotContain('\e', result.Text);
        Assert.Contains("Name", result.Text, StringComparison.Ordinal);
        Assert.All(result.Text.Split('\n'), line => Assert.True(line.Length <= 40, line));
    }

    [Fact]
    public async Task InvokeAsync_OneRunspace_KeepsVariables()
    {
        await using ShellSession shell = await ShellSession.StartAsync(cancellationToken: Token);

        await shell.InvokeAsync("$x = 7", cancellationToken: Token);

        Assert.Equal(7, (await shell.InvokeAsync("$x", cancellationToken: Token)).Single().Value.GetInt32());
        Assert.Equal(
            JsonValueKind.Null, (await shell.InvokeAsync("$x", runspace: "other", cancellationToken: Token)).Single().Value.ValueKind);
    }

    [Fact]
    public async Task TryInvokeAsync_OneWaits_AnotherRunspaceAnswersAndCancelStopsIt()
    {
        await using ShellSession shell = await ShellSession.StartAsync(cancellationToken: Token);
        using var cancel = new CancellationTokenSource();
        var begun = new TaskCompletionSource();

        Task<ShellResult> waiting = shell.TryInvokeAsync(
            "'begun'; while ($true) { [Threading.Thread]::Sleep(10) }", runspace: "waiting", onOutput: _ => begun.TrySetResult(),
            cancellationToken: cancel.Token);
        await begun.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);
        ShellResult other = await shell.InvokeAsync("1 + 1", cancellationToken: Token);
        Assert.False(waiting.IsCompleted);
        await cancel.CancelAsync();

        Assert.Equal(2, other.Single().Value.GetInt32());
        Assert.Equal(ShellState.Stopped, (await waiting).State);
    }

    [Fact]
    public async Task TryInvokeAsync_CliXml_RoundTripsTypes()
    {
        await using ShellSession shell = await ShellSession.StartAsync(cancellationToken: Token);

        ShellResult result = await shell.TryInvokeAsync("[version]'1.2.3'", cliXml: true, cancellationToken: Token);

        Assert.Contains("<Version>1.2.3</Version>", result.Single().CliXml, StringComparison.Ordinal);
    }

    [Fact]
    public async Task InvokeAsync_TooLong_StopsTheScriptAndSaysSo()
    {
        await using ShellSession shell = await ShellSession.StartAsync(cancellationToken: Token);

        await Assert.ThrowsAsync<TimeoutException>(() => shell.InvokeAsync(
            "while ($true) { [Threading.Thread]::Sleep(10) }", timeout: TimeSpan.FromMilliseconds(200), cancellationToken: Token));

        Assert.Equal(3, (await shell.InvokeAsync("3", cancellationToken: Token)).Single().Value.GetInt32());
    }

    [Fact]
    public async Task StartAsync_ModuleThatIsNotThere_SaysSo()
    {
        LabException exception = await Assert.ThrowsAsync<LabException>(
            () => ShellSession.StartAsync(new ShellOptions { Imports = ["/nowhere/Nothing.psd1"] }, Token));

        Assert.Contains("/nowhere/Nothing.psd1", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DisposeAsync_EndsTheProcessWhateverRuns()
    {
        ShellSession shell = await ShellSession.StartAsync(cancellationToken: Token);
        var begun = new TaskCompletionSource();
        using var process = Process.GetProcessById(shell.ProcessId);
        Task<ShellResult> running = shell.TryInvokeAsync(
            "1; while ($true) { }", onOutput: _ => begun.TrySetResult(), cancellationToken: Token);
        await begun.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);

        await shell.DisposeAsync();

        Assert.True(process.HasExited);
        Assert.Equal(ShellState.Stopped, (await running).State);
        await Assert.ThrowsAnyAsync<Exception>(() => shell.InvokeAsync("1", cancellationToken: Token));
    }

    [Fact]
    public async Task Kill_RunningScript_FailsInsteadOfWaitingForever()
    {
        await using ShellSession shell = await ShellSession.StartAsync(cancellationToken: Token);
        var begun = new TaskCompletionSource();
        Task<ShellResult> running = shell.TryInvokeAsync(
            "1; while ($true) { }", onOutput: _ => begun.TrySetResult(), cancellationToken: Token);
        await begun.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);

        shell.Kill();

        await Assert.ThrowsAsync<IOException>(() => running);
    }
}
