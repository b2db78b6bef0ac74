using System.Diagnostics;
using LightTunnel.Lab;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>The shell as a program that people and services start.</summary>
public sealed class ShellProgramTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("'fine'", 0, "fine", "")]
    [InlineData("exit 7", 7, "", "")]
    [InlineData("throw 'broken'", 1, "", "broken")]
    public async Task Command_EndsWithTheScriptsCode(string script, int code, string output, string errors)
    {
        (int exitCode, string text, string complaints) = await RunAsync(string.Empty, "-Command", script);

        Assert.Equal(code, exitCode);
        Assert.Equal(output, text.Trim());
        Assert.Contains(errors, complaints, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Prompt_CommandOverSeveralLines_RunsWhenItIsComplete()
    {
        (int exitCode, string text, _) = await RunAsync("1..2 | ForEach-Object {\n'item ' + $_\n}\n\nexit 3\n", "--prompt", "node");

        Assert.Equal(3, exitCode);
        Assert.Contains("node PS> ", text, StringComparison.Ordinal);
        Assert.Contains("item 1", text, StringComparison.Ordinal);
        Assert.Contains("item 2", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task UnknownOption_SaysWhichAndHowToUseIt()
    {
        (int exitCode, _, string complaints) = await RunAsync(string.Empty, "--width", "many");

        Assert.Equal(64, exitCode);
        Assert.Contains("--width", complaints, StringComparison.Ordinal);
    }

    private static async Task<(int ExitCode, string Output, string Errors)> RunAsync(string input, params string[] arguments)
    {
        var start = new ProcessStartInfo(LabPaths.DotNet, [LabPaths.ShellAssembly, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(Token);
        Task<string> errors = process.StandardError.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token);
        return (process.ExitCode, await output, await errors);
    }
}
